// Requests to the server, and small things that all parts of the page need.

export const $ = selector => document.querySelector(selector);

// The answer to a request, an object; an error carries the server's sentence.
export async function request(address, options = {}) {
  let answer;
  try {
    answer = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer. Is `vsr web` still running?");
  }
  if (answer.status === 401) throw new Error("The server was started again: open the address that it printed.");
  if (answer.status === 204) return null;
  const text = await answer.text();
  let content = {};
  try { content = JSON.parse(text); } catch { content.error = text; }
  if (!answer.ok) throw new Error(content.error);
  return content;
}

export function post(address, content = {}, signal = undefined) {
  return request(address, { method: "POST", body: JSON.stringify(content), signal });
}

export function showError(error) {
  if (error.name === "AbortError") return;
  $("#error").textContent = error.message;
  $("#error").hidden = false;
}

// Do something that may fail, and say so at the top of the page.
export async function attempt(work) {
  $("#error").hidden = true;
  try { return await work(); } catch (error) { showError(error); }
}

export function say(text) { $("#status").textContent = text; }

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function clock(seconds) {
  const whole = Math.floor(seconds), two = number => String(number).padStart(2, "0");
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

export function bytes(size) {
  const unit = ["B", "kB", "MB", "GB", "TB"];
  const power = size < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(size) / 3));
  return `${(size / 1000 ** power).toFixed(power > 2 ? 1 : 0)} ${unit[power]}`;
}
