// Live streams: started, watched and stopped. What is shown of each is what `vsr live --status` shows.

import { makeView } from "./figures.js";
import { $, attempt, element, post, request, say } from "./request.js";

const POLL_MS = 1000;
const items = new Map(); // id of a stream: its item and view
let chosenFilm = () => null;

export function startLive(models, filmOf) {
  chosenFilm = filmOf;
  const form = $("#live");
  form.elements.model.append(...models.map(name => element("option", { textContent: name })));
  form.elements.film.onchange = () => { form.elements.source.disabled = form.elements.film.checked; };
  form.onsubmit = event => { event.preventDefault(); attempt(start); };
  poll();
}

async function start() {
  const { name, source, film, listen, target, record, latency_ms: latency, model } = $("#live").elements;
  if (film.checked && chosenFilm() === null) throw new Error("Choose a film first.");
  await post("api/streams", {
    name: name.value,
    ...(film.checked ? { film: chosenFilm().id } : { source: source.value }),
    target: target.value, listen: listen.checked, record: record.checked,
    latency_ms: Number(latency.value), options: { model: model.value },
  });
  say(`${name.value} is starting.`);
  await refresh();
}

async function poll() {
  try { await refresh(); } catch { /* the queue says that the server does not answer */ }
  setTimeout(poll, POLL_MS);
}

async function refresh() {
  const { streams } = await request("api/streams");
  for (const [id, { item }] of items) if (!streams.some(one => one.id === id)) { item.remove(); items.delete(id); }
  await Promise.all(streams.map(show));
}

async function show(stream) {
  const { parts, view } = items.get(stream.id) ?? add(stream);
  const { id, state, figures } = stream;
  const starting = state === "running" && figures === null;
  parts.state.textContent = stream.is_stopping ? "closing its output" : starting ? "starting" : [state, stream.message].filter(Boolean).join(": ");
  parts.state.className = `state ${state}`;
  parts.state.hidden = parts.state.textContent === "running"; // as the figures say
  parts.view.hidden = parts.metrics.hidden = figures === null;
  parts.stop.hidden = state !== "running" || stream.is_stopping;
  parts.start.hidden = parts.remove.hidden = state === "running";
  parts.command.textContent = stream.command;
  parts.metrics.href = `api/streams/${id}/metrics`;
  if (figures !== null) await view(figures);
}

function add(stream) {
  const { id, name } = stream;
  const act = (label, work) => element("button", {
    type: "button", textContent: label, ariaLabel: `${label}: ${name}`,
    onclick: () => attempt(async () => { await work(); await refresh(); }),
  });
  const parts = {
    state: element("p"), view: element("div"), command: element("code"),
    stop: act("Stop", () => post(`api/streams/${id}/stop`)),
    start: act("Start again", () => post(`api/streams/${id}/start`)),
    remove: act("Remove from the list", () => request(`api/streams/${id}`, { method: "DELETE" })),
    metrics: element("a", { className: "button", textContent: "Prometheus metrics", ariaLabel: `Prometheus metrics of ${name}` }),
  };
  const ends = element("p", { className: "quiet", textContent: `${stream.source} → ${stream.target}` });
  const item = element("li", {}, element("h3", { textContent: name }), ends, parts.state, parts.view,
    element("div", { className: "actions" }, parts.stop, parts.start, parts.remove, parts.metrics),
    element("details", {}, element("summary", { textContent: "The same on the command line" }), parts.command));
  const view = makeView(parts.view, name, which => `api/streams/${id}/${which}?at=${Date.now()}`);
  const made = { item, parts, view };
  items.set(id, made);
  $("#streams").prepend(item);
  return made;
}
