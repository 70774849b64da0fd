// The queue. The server is asked again and again: this works after a reload, after the server was
// started again, and in two browsers at once.

import { $, attempt, clock, element, post, request, say, showError } from "./request.js";

const POLL_MS = 1000;
const items = new Map(); // id of a job: its item
const states = new Map(); // id of a job: its last state
let onCompare = () => {};
let unreachable = false;

export function startJobs(compare) {
  onCompare = compare;
  poll();
}

export async function refreshJobs() {
  const { jobs } = await request("api/jobs");
  for (const [id, item] of items) if (!jobs.some(job => job.id === id)) { item.remove(); items.delete(id); }
  jobs.forEach(show);
  $("#no-jobs").hidden = jobs.length > 0;
  const running = jobs.find(job => job.state === "running");
  document.title = running ? `${share(running)} vsr: ${running.name}` : "vsr: restore films";
}

async function poll() {
  try {
    await refreshJobs();
    if (unreachable) $("#error").hidden = true;
    unreachable = false;
  } catch (error) {
    unreachable = true;
    showError(error);
  }
  setTimeout(poll, POLL_MS);
}

function show(job) {
  const item = items.get(job.id) ?? add(job);
  const { parts } = item;
  const state = job.wanted && job.state === "running" ? `ending, then ${job.wanted}` : job.state;
  item.className = job.state;
  item.job = job;
  parts.state.textContent = [state, ...details(job)].join(", ");
  parts.bar.hidden = job.state !== "running";
  const { frames = 0, total = null } = job.progress ?? {};
  if (total) { parts.bar.max = total; parts.bar.value = frames; } else parts.bar.removeAttribute("value");
  parts.picture.hidden = !(job.state === "running" && job.has_picture);
  if (!parts.picture.hidden) parts.picture.src = `api/jobs/${job.id}/frame?${frames}`;
  parts.command.textContent = job.command;
  parts.download.hidden = parts.compare.hidden = parts.discard.hidden = !job.has_result || job.state === "running";
  parts.download.href = `api/jobs/${job.id}/result`;
  parts.download.textContent = job.partial ? "Download what is done" : "Download";
  parts.pause.hidden = !["queued", "running"].includes(job.state) || job.wanted !== null;
  parts.cancel.hidden = !["queued", "running", "paused"].includes(job.state) || job.wanted !== null;
  parts.resume.hidden = !["paused", "cancelled", "failed"].includes(job.state);
  parts.remove.hidden = job.state === "running";
  announce(job);
}

function details(job) {
  if (job.state === "failed") return [job.message];
  if (job.state === "done") return [`${job.frames} frames`];
  if (job.state !== "running") return job.partial ? [`${job.frames} frames are done and can be played`] : [];
  if (job.progress === null) return ["starting"];
  const { frames, total, seconds, resumed } = job.progress;
  if (total && frames >= total) return ["putting the file together"];
  const fps = seconds > 0 ? (frames - resumed) / seconds : 0;
  const left = total && fps > 0 ? [`${clock((total - frames) / fps)} left`] : [];
  return [`frame ${frames}${total ? ` of ${total}` : ""}`, `${fps.toFixed(1)} frames/s`, ...left];
}

function share(job) {
  const { frames, total } = job.progress ?? {};
  return total ? `${Math.floor(100 * frames / total)} %` : "…";
}

function add(job) {
  const act = (label, work) => element("button", {
    type: "button", textContent: label, ariaLabel: `${label}: ${job.name}`,
    onclick: () => attempt(async () => { await work(); await refreshJobs(); }),
  });
  const change = action => () => post(`api/jobs/${job.id}/${action}`);
  const parts = {
    state: element("p", { className: "state" }),
    bar: element("progress", { ariaLabel: `Progress of ${job.name}` }),
    picture: element("img", { alt: `The newest frame of ${job.name}` }),
    pause: act("Pause", change("pause")),
    resume: act("Resume", change("resume")),
    cancel: act("Cancel", change("cancel")),
    compare: act("Compare", () => onCompare(item.job)),
    download: element("a", { className: "button", download: "" }),
    remove: act("Remove from the list", () => request(`api/jobs/${job.id}`, { method: "DELETE" })),
    discard: act("Delete the result", () => discard(item.job)),
    command: element("code"),
  };
  const copy = element("button", { type: "button", textContent: "Copy", ariaLabel: `Copy the command line of ${job.name}`,
    onclick: () => attempt(() => navigator.clipboard.writeText(parts.command.textContent)) });
  const { state, bar, picture, command, ...buttons } = parts;
  const item = element("li", { parts }, element("h3", { textContent: job.name }), state, bar, picture,
    element("div", { className: "actions" }, ...Object.values(buttons)),
    element("details", {}, element("summary", { textContent: "The same on the command line" }), command, copy));
  items.set(job.id, item);
  $("#jobs").prepend(item);
  return item;
}

export async function discard(job) {
  if (!confirm(`Delete ${job.result}? The film itself stays.`)) return;
  await request(`api/jobs/${job.id}?result=delete`, { method: "DELETE" });
}

function announce(job) {
  const before = states.get(job.id);
  states.set(job.id, job.state);
  if (before === undefined || before === job.state) return;
  say(`${job.name}: ${job.state}`);
  const ended = ["done", "failed"].includes(job.state);
  if (ended && $("#notify").checked && Notification.permission === "granted") {
    new Notification(`${job.name}: ${job.state}`, { body: job.message || job.result, tag: job.id });
  }
}
