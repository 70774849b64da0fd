// The page of `vsr live --status`: all streams of one process.

import { makeView } from "./figures.js";

const views = new Map();

function makeSection(name) {
  const section = document.createElement("section");
  document.querySelector("main").append(section);
  const title = document.createElement("h2");
  title.textContent = name;
  section.append(title);
  const query = () => `stream=${encodeURIComponent(name)}&at=${Date.now()}`;
  return makeView(section, name, which => `${which}.jpg?${query()}`);
}

async function show(figures) {
  if (!views.has(figures.name)) views.set(figures.name, makeSection(figures.name));
  await views.get(figures.name)(figures);
}

async function refresh() {
  const link = document.getElementById("link");
  try {
    const all = await (await fetch("figures.json")).json();
    await Promise.all(all.map(show));
    link.textContent = "";
  } catch {
    link.textContent = "- not reached";
    link.className = "lost";
  }
  setTimeout(refresh, 500);
}
refresh();
