// Figures and pictures of one live stream, on the page of `vsr live --status` and on that of `vsr web`.

const SHOWN = {
  fps: "frames/s", latency_ms: "latency, ms", latency_p99_ms: "99 % under, ms", level: "quality",
  restored: "restored", passed_through: "passed through", skipped: "left out", late: "late",
  faces: "faces", without_faces: "without faces", faces_left_out: "faces left out", held: "held", corrupt: "damaged", reconnects: "reconnects", reopened: "sinks reopened",
  source_queue: "waiting, source", sink_queue: "waiting, sink", frames_in: "frames in",
  frames_out: "frames out", uptime_s: "uptime, s",
};

function add(parent, tag, text = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  return parent.appendChild(made);
}

// A view of a stream's figures below a parent element; `address` gives that of a picture.
export function makeView(parent, name, address) {
  const state = add(parent, "p"), sinks = add(parent, "p"), pictures = add(parent, "div");
  state.className = "state";
  pictures.className = "pictures";
  const images = ["input", "output"].map(which => {
    const figure = add(pictures, "figure"), image = add(figure, "img");
    image.alt = `${which} of ${name}`;
    add(figure, "figcaption", which);
    return [image, which];
  });
  const list = add(parent, "dl"), values = {};
  for (const [key, label] of Object.entries(SHOWN)) {
    const pair = add(list, "div");
    add(pair, "dt", label);
    values[key] = add(pair, "dd");
    values[key].dataset.key = key;
  }
  return async figures => {
    state.textContent = `${figures.state} ${figures.sizes}`;
    state.className = `state ${figures.state}`;
    sinks.textContent = figures.sinks.map(sink => `${sink.role} ${sink.name}: ${sink.state}`).join("; ");
    for (const key of Object.keys(SHOWN)) values[key].textContent = figures[key];
    if (figures.frames_out && !document.hidden) {
      await Promise.all(images.map(([image, which]) => load(image, address(which))));
    }
  };
}

function load(image, address) {
  return new Promise(done => {
    image.onload = image.onerror = done;
    image.src = address;
  });
}
