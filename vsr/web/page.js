// The page: a film is chosen, looked at, and restored.

import { showVideo, startCompare } from "./compare.js";
import { factsOf, startFilms } from "./films.js";
import { refreshJobs, startJobs } from "./jobs.js";
import { $, attempt, bytes, clock, element, post, request, say } from "./request.js";

let film = null; // the chosen one
let models = new Map();
let asked = new AbortController(); // the preview or estimate that is being made

// The token came with the address and is a cookie now: nobody needs to see it.
history.replaceState(null, "", location.pathname);
startCompare();
attempt(start);

async function start() {
  const films = startFilms(choose);
  const settings = await request("api/settings");
  $("#folder").textContent = settings.folder;
  models = new Map(settings.models.map(model => [model.name, model]));
  const { model, fit, fidelity } = $("#options").elements;
  model.append(...[...models.keys()].map(name => element("option", { textContent: name })));
  fit.append(...settings.heights.map(rows => element("option", { value: rows, textContent: `${rows} rows` })));
  model.onchange = showModel;
  fidelity.oninput = () => { $("#fidelity output").textContent = fidelity.value; };
  $("#options").onsubmit = event => { event.preventDefault(); attempt(restore); };
  $("#options").onchange = event => { if (event.target.id !== "notify") $("#forecast").textContent = ""; };
  $("#preview").onclick = () => attempt(preview);
  $("#estimate").onclick = () => attempt(estimate);
  $("#moment").oninput = sayMoment;
  $("#moment").onchange = showMoment;
  $("#notify").onchange = () => { if ($("#notify").checked) Notification.requestPermission(); };
  showModel();
  startJobs(compareJob);
  await films;
}

async function choose(chosen) {
  asked.abort();
  film = chosen;
  $("#film").hidden = false;
  $("#film-title").textContent = film.name;
  $("#forecast").textContent = "";
  const { codec, width, height, seconds, fps } = await factsOf(film.id);
  if (film !== chosen) return;
  const facts = [`${width}×${height}`, codec, fps && `${fps.toFixed(3).replace(/\.?0+$/, "")} frames/s`];
  $("#facts").textContent = [...facts, seconds && clock(seconds), bytes(film.size)].filter(Boolean).join(", ");
  $("#moment").max = Math.max(0, (seconds ?? 0) - 0.5);
  $("#moment").value = (seconds ?? 0) / 10;
  sayMoment();
  showMoment();
  $("#film-title").focus();
}

function sayMoment() {
  const seconds = Number($("#moment").value);
  $("#moment-time").textContent = `${clock(seconds)}.${Math.floor(seconds * 10) % 10}`;
}

function showMoment() {
  $("#moment-picture").src = `api/films/${film.id}/picture?at=${$("#moment").value}`;
}

function showModel() {
  const model = models.get($("#options").elements.model.value);
  $("#model-summary").textContent = `${model.summary}${model.scale ? `; enlarges ${model.scale} times` : ""}`;
  $("#fidelity").hidden = model.fidelity === null;
  $("#options").elements.fidelity.value = model.fidelity ?? 0;
  $("#fidelity output").textContent = model.fidelity ?? "";
}

function options() {
  const { model, fit, fidelity, deinterlace } = $("#options").elements;
  return {
    model: model.value,
    deinterlace: deinterlace.value,
    ...(fit.value && { fit: Number(fit.value) }),
    ...(models.get(model.value).fidelity !== null && { fidelity: Number(fidelity.value) }),
  };
}

// Ask for something that takes seconds; another question takes its place.
async function ask(button, address, content) {
  asked.abort();
  asked = new AbortController();
  const { signal } = asked;
  button.setAttribute("aria-busy", "true");
  say("Working …");
  try {
    return await post(address, content, signal);
  } finally {
    button.removeAttribute("aria-busy");
    if (asked.signal === signal) say("");
  }
}

async function preview() {
  const content = { at: Number($("#moment").value), options: options() };
  const made = await ask($("#preview"), `api/films/${film.id}/preview`, content);
  await showVideo(made, `${film.name}: input and preview by ${content.options.model}`);
}

async function estimate() {
  const made = await ask($("#estimate"), `api/films/${film.id}/estimate`, { options: options() });
  const time = made.seconds === null ? "an unknown time" : `about ${clock(made.seconds)}`;
  const memory = `${bytes(made.memory_bytes)} of ${bytes(made.budget_bytes)} memory`;
  $("#forecast").textContent = `${time} (${made.fps.toFixed(1)} frames/s on ${made.device}), ${memory}, ` +
    `result of ${made.output_size.join("×")}`;
}

async function restore() {
  await post(`api/films/${film.id}/jobs`, { options: options() });
  await refreshJobs();
  say(`${film.name} is in the queue.`);
}

async function compareJob(job) {
  const at = Number($("#moment").value) || 0;
  const made = await ask($("#preview"), `api/jobs/${job.id}/comparison`, { at });
  await showVideo(made, `${job.name}: input and ${job.result}`);
}
