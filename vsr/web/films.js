// The list of films, and films that are dropped on the page.

import { $, attempt, bytes, clock, element, post, request, say, showError } from "./request.js";

const rows = new Map(); // id of a film: its row
const facts = new Map(); // id of a film: promise of its facts
let choose = () => {};

export const factsOf = id => {
  if (!facts.has(id)) {
    const asked = request(`api/films/${id}`);
    facts.set(id, asked);
    asked.catch(() => facts.delete(id)); // it may succeed the next time
  }
  return facts.get(id);
};

export function startFilms(onChoose) {
  choose = onChoose;
  $("#search").oninput = filter;
  $("#file").onchange = async event => { await upload([...event.target.files]); event.target.value = ""; };
  document.ondragover = event => { event.preventDefault(); document.body.classList.add("dropping"); };
  document.ondragleave = event => { if (!event.relatedTarget) document.body.classList.remove("dropping"); };
  document.ondrop = event => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    upload([...event.dataTransfer.files]);
  };
  return listFilms();
}

export async function listFilms() {
  const { films } = await request("api/films");
  rows.clear();
  $("#films").replaceChildren(...films.map(row));
  $("#no-films").hidden = films.length > 0;
  filter();
}

function row(film) {
  const details = element("small", { textContent: bytes(film.size) });
  const picture = element("img", { alt: "", loading: "lazy", src: `api/films/${film.id}/picture` });
  const button = element("button", { type: "button", onclick: () => select(film) }, picture,
    element("span", {}, element("span", { className: "name", textContent: film.name }), details));
  button.setAttribute("aria-pressed", "false");
  const item = element("li", {}, button);
  // Facts are read only of films that are looked at: there may be thousands.
  new IntersectionObserver(async ([seen], observer) => {
    if (!seen.isIntersecting) return;
    observer.disconnect();
    details.textContent = await describe(film);
  }).observe(item);
  rows.set(film.id, { item, button, film });
  return item;
}

async function describe(film) {
  const dropped = film.uploaded ? ", dropped here" : "";
  try {
    const { codec, width, height, seconds } = await factsOf(film.id);
    const length = seconds === null ? "" : `${clock(seconds)}, `;
    return `${length}${width}×${height}, ${codec}, ${bytes(film.size)}${dropped}`;
  } catch (error) {
    return error.message;
  }
}

export function select(film) {
  for (const { button, film: other } of rows.values()) {
    button.setAttribute("aria-pressed", String(other.id === film.id));
  }
  attempt(() => choose(film));
}

function filter() {
  const wanted = $("#search").value.toLowerCase();
  for (const { item, film } of rows.values()) item.hidden = !film.name.toLowerCase().includes(wanted);
}

async function upload(files) {
  $("#error").hidden = true;
  for (const file of files) {
    try {
      await post("api/uploads", { size: file.size });
      const film = await send(file);
      await listFilms();
      say(`${film.name} is here.`);
      select(film);
    } catch (error) {
      showError(error);
    }
  }
}

// XMLHttpRequest, because fetch does not say how far an upload is.
function send(file) {
  const bar = element("progress", { max: file.size || 1, value: 0, ariaLabel: `Upload of ${file.name}` });
  const upload = new XMLHttpRequest();
  const stop = element("button", { type: "button", textContent: "Stop", ariaLabel: `Stop: ${file.name}`, onclick: () => upload.abort() });
  const label = element("span", { textContent: file.name });
  const item = element("li", {}, label, bar, stop);
  $("#uploads").append(item);
  return new Promise((resolve, reject) => {
    upload.upload.onprogress = ({ loaded }) => {
      bar.value = loaded;
      label.textContent = `${file.name}: ${bytes(loaded)} of ${bytes(file.size)}`;
    };
    upload.onload = () => {
      let answer = {};
      try { answer = JSON.parse(upload.response); } catch { answer.error = upload.response; }
      if (upload.status === 201) resolve(answer);
      else reject(new Error(answer.error));
    };
    upload.onerror = () => reject(new Error(`${file.name} could not be sent; is the server running?`));
    upload.onabort = () => reject(new Error(`${file.name} was stopped; nothing of it is kept.`));
    upload.open("PUT", `api/films?name=${encodeURIComponent(file.name)}`);
    upload.send(file);
  }).finally(() => item.remove());
}
