// Input and result side by side in one video, drawn on a canvas on both sides of the divider. One
// decoder makes both halves, so that they cannot get out of step.

import { $ } from "./request.js";

let shown = null; // width, height, aspect and times of the video
const video = $("#video"), canvas = $("#canvas"), view = $("#view"), divider = $("#divider");

export async function showVideo(made, title) {
  shown = made;
  canvas.width = made.width;
  canvas.height = made.height;
  $("#compare-title").textContent = title;
  $("#compare").hidden = false;
  video.src = `api/videos/${made.id}`;
  await new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(new Error("This browser cannot play the preview (H.264 in MP4)."));
  });
  resize();
  await seek(0);
  $("#compare").scrollIntoView({ block: "nearest" });
  $("#compare-title").focus({ preventScroll: true });
}

export function startCompare() {
  divider.oninput = draw;
  view.onscroll = draw;
  window.addEventListener("resize", resize);
  $("#play").onclick = () => (video.paused ? video.play() : video.pause());
  video.onplay = () => { $("#play").textContent = "Pause"; follow(); };
  video.onpause = () => { $("#play").textContent = "Play"; };
  video.onseeked = draw;
  $("#back").onclick = () => step(-1);
  $("#forward").onclick = () => step(1);
  $("#zoom").onchange = resize;
  document.addEventListener("keydown", onKey);
  dragToScroll();
}

function onKey(event) {
  if (shown === null || event.ctrlKey || event.altKey || event.metaKey) return;
  const typing = event.target.matches("input:not([type=range]):not([type=radio]), select");
  if (!typing && event.key === ",") step(-1);
  else if (!typing && event.key === ".") step(1);
  else if (event.key === " " && event.target.closest("#stage")) $("#play").click();
  else return;
  event.preventDefault();
}

function follow() {
  if (video.paused) return;
  video.requestVideoFrameCallback(() => { draw(); follow(); });
}

function frameNumber() {
  const { times } = shown;
  let number = times.length - 1;
  while (number > 0 && times[number] > video.currentTime + 1e-3) number -= 1;
  return number;
}

async function step(by) {
  video.pause();
  await seek((frameNumber() + by + shown.times.length) % shown.times.length);
}

// Into the middle of a frame: its beginning is rounded.
function seek(number) {
  const { times } = shown;
  const next = times[number + 1] ?? times[number] + (times[1] ?? 0.04);
  const done = new Promise(resolve => video.addEventListener("seeked", resolve, { once: true }));
  video.currentTime = (times[number] + next) / 2;
  return done;
}

function resize() {
  if (shown === null) return;
  const zoom = document.querySelector("[name=zoom]:checked").value;
  const { width, height, aspect } = shown;
  const room = view.clientWidth;
  const wide = zoom === "fit" ? Math.min(room, innerHeight * 0.8 * aspect) : width * zoom / devicePixelRatio;
  const high = zoom === "fit" ? wide / aspect : height * zoom / devicePixelRatio;
  canvas.style.width = `${wide}px`;
  canvas.style.height = `${high}px`;
  canvas.style.imageRendering = zoom > 1 ? "pixelated" : "auto";
  view.classList.toggle("zoomed", zoom !== "fit");
  draw();
}

function draw() {
  if (shown === null) return;
  const { width, height } = shown, pen = canvas.getContext("2d");
  // The divider stands in the view, of which the canvas may be larger or smaller.
  const thumb = 44, room = divider.clientWidth;
  const x = thumb / 2 + divider.value / 100 * (room - thumb);
  const place = canvas.getBoundingClientRect(), left = divider.getBoundingClientRect().left;
  const cut = Math.min(width, Math.max(0, Math.round((left + x - place.left) / place.width * width)));
  if (cut > 0) pen.drawImage(video, 0, 0, cut, height, 0, 0, cut, height);
  if (cut < width) pen.drawImage(video, width + cut, 0, width - cut, height, cut, 0, width - cut, height);
  $("#position").textContent = `frame ${frameNumber() + 1} of ${shown.times.length}`;
  divider.setAttribute("aria-valuetext", `${divider.value} % input, the rest restored`);
}

// A touch screen scrolls by itself; a mouse drags.
function dragToScroll() {
  view.onpointerdown = event => {
    if (event.pointerType === "mouse") view.setPointerCapture(event.pointerId);
  };
  view.onpointermove = event => {
    if (view.hasPointerCapture(event.pointerId)) view.scrollBy(-event.movementX, -event.movementY);
  };
}
