"use strict";
// The page goes through the sweep: `at` counts the frames, and everything that is shown is a function of it.
(function () {
  document.documentElement.classList.add("js");
  const PAUSE = 1200; // ms between two steps of a play
  const NEAR = 6; // contributions that a row lists: the last ones received, the next ones to come
  const SETTLED = 250; // ms without a step after which the place is written to the address

  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));
  const one = (id) => document.getElementById(id);

  const KEYS = { Home: "first", ArrowLeft: "back", ArrowRight: "forward", End: "last", " ": "play" };

  function start() {
    const frames = JSON.parse(one("data").textContent).frames;
    const place = new Map(frames.map((frame, k) => [frame.key, k]));
    const reader = new Reader(frames, collect(frames, place));
    listen(reader, frames, place);
    for (const details of all(".code details")) details.open = false;
    focusable();
    reader.show(wanted(place) || 0, true);
  }

  // Where the reader is, and the ways to be elsewhere.
  class Reader {
    constructor(frames, parts) {
      this.frames = frames;
      this.parts = parts;
      this.final = frames.length - 1;
      this.at = 0;
      this.timer = 0;
      this.settled = 0;
      this.calm = matchMedia("(prefers-reduced-motion: reduce)");
      this.paper = matchMedia("print");
    }

    show(k, reveals) {
      const { frames, parts, final } = this;
      this.at = Math.min(Math.max(k, 0), final);
      const paper = this.paper.matches;
      const shown = paper ? final : this.at;
      state(parts, frames, shown);
      drawing(parts, frames, shown, paper);
      marks(parts, frames[shown], reveals && !paper, this.calm.matches);
      announce(frames[this.at], document.body.dataset.show);
      one("count").textContent = String(this.at);
      one("place").value = String(this.at);
      one("place").setAttribute("aria-valuetext", title(frames[this.at]));
      one("when").textContent = when(frames[shown], shown === final);
      for (const [name, button] of parts.buttons) {
        const end = { first: 0, back: 0, forward: final, last: final }[name];
        if (end !== undefined) button.setAttribute("aria-disabled", String(this.at === end));
      }
    }

    go(k) {
      this.show(k, true);
      clearTimeout(this.settled);
      const address = "#step=" + encodeURIComponent(this.frames[this.at].key);
      this.settled = setTimeout(() => history.replaceState(null, "", address), SETTLED);
      this.tell();
    }

    // Whoever shows this page in a frame of its own is told where it is; `keep` says how.
    tell() {}

    jump(k) {
      this.stop();
      this.go(k);
    }

    first() {
      this.jump(0);
    }

    back() {
      this.jump(this.at - 1);
    }

    forward() {
      this.jump(this.at + 1);
    }

    last() {
      this.jump(this.final);
    }

    play() {
      if (this.timer) return this.stop();
      if (this.at === this.final) this.go(0);
      this.timer = setInterval(() => (this.at === this.final ? this.stop() : this.go(this.at + 1)), PAUSE);
      this.plays(true);
    }

    stop() {
      clearInterval(this.timer);
      this.timer = 0;
      this.plays(false);
    }

    plays(on) {
      one("now").parentElement.classList.toggle("playing", on);
      this.parts.buttons.get("play").setAttribute("aria-label", on ? "Pause" : "Play");
    }
  }

  function listen(reader, frames, place) {
    for (const [name, button] of reader.parts.buttons) button.addEventListener("click", () => reader[name]());
    one("place").addEventListener("input", (event) => reader.jump(Number(event.target.value)));
    for (const radio of all('input[name="show"]')) {
      radio.addEventListener("change", () => {
        document.body.dataset.show = radio.value;
        reader.show(reader.at, false);
      });
    }
    document.addEventListener("keydown", (event) => pressed(event, reader));
    document.addEventListener("click", (event) => {
      const found = target(event, frames, place, reader.at);
      if (found === undefined || String(getSelection()).trim()) return; // whoever selects text does not want to jump
      event.preventDefault();
      reader.jump(found);
    });
    addEventListener("hashchange", () => {
      const k = wanted(place);
      if (k !== undefined && k !== reader.at) reader.jump(k);
    });
    reader.paper.addEventListener("change", () => reader.show(reader.at, false));
    addEventListener("resize", focusable);
    if (parent !== window) keep(reader, place);
  }

  // In the playground a newer page takes the place of an older one: every page says where it is, and goes where it is told.
  function keep(reader, place) {
    const boxes = [document.scrollingElement, ...reader.parts.panels.values()];
    let told = 0;
    reader.tell = () => {
      clearTimeout(told);
      const tops = boxes.map((box) => box.scrollTop);
      told = setTimeout(() => parent.postMessage({ step: reader.frames[reader.at].key, tops }, "*"), SETTLED);
    };
    addEventListener("scroll", reader.tell, true);
    addEventListener("message", ({ source, data }) => {
      if (source !== parent || !data || !Array.isArray(data.tops)) return;
      reader.show(place.get(data.step) || 0, false);
      boxes.forEach((box, k) => box.scrollTo({ top: Number(data.tops[k]) || 0, behavior: "instant" }));
    });
  }

  // What has a use of its own for a key keeps it.
  function pressed(event, reader) {
    const move = KEYS[event.key];
    if (!move || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.target.closest("input, select, textarea")) return;
    if (move === "play" && event.target.closest("button, a, summary")) return;
    event.preventDefault();
    if (move !== "play" || !event.repeat) reader[move]();
  }

  // -- what the page consists of --------------------------------------------------------------------------------------

  function collect(frames, place) {
    const gather = (found, key, element) => found.set(key, (found.get(key) || []).concat(element));
    const made = {
      buttons: new Map(all("button[data-go]").map((button) => [button.dataset.go, button])),
      rows: all("table.state tbody tr").map((row) => ({
        element: row,
        frame: Number(row.dataset.frame),
        known: row.querySelector(".known"),
        unknown: row.querySelector(".unknown"),
        nothing: row.querySelector(".nothing"),
        totals: all(".total", row),
        received: all(".received .part", row),
        pending: all(".pending .part", row),
        earlier: row.querySelector(".earlier"),
        later: row.querySelector(".more"),
        complete: row.querySelector(".complete"),
      })),
      absent: all("[data-absent]"),
      panels: new Map(all("[data-panel]").map((panel) => [panel.dataset.panel, panel])),
      equations: new Map(), lines: new Map(), locals: new Map(), nodes: new Map(), edges: [], texts: [], marked: [],
    };
    for (const element of all(".symdiff-derivation tbody[data-step]")) gather(made.equations, element.dataset.step, element);
    for (const element of all(".symdiff-derivation [data-local]")) gather(made.locals, element.dataset.local, element);
    for (const element of all(".line[data-steps]")) {
      for (const step of element.dataset.steps.split(" ")) gather(made.lines, step, element);
    }
    const graph = document.querySelector(".symdiff-graph");
    if (graph) parse(made, graph, frames, place);
    return made;
  }

  // Every text of the drawing with the frame at which it is known.
  function parse(made, graph, frames, place) {
    const numbers = document.body.dataset.numbers === "yes"; // without them wires show shapes, which are always known
    const computed = new Map();
    const complete = new Map();
    frames.forEach((frame, k) => {
      if (frame.kind === "forward") computed.set(frame.target, k);
      if (frame.kind === "seed" || frame.kind === "reverse") complete.set(frame.target, k);
    });
    const add = (element, adjoint, from) => {
      if (numbers) made.texts.push({ element, frame: adjoint ? from.adjoint : from.value });
    };
    for (const group of all(".node", graph)) {
      const name = group.dataset.name;
      made.nodes.set(name, { element: group, frame: computed.get(name) || 0 });
      const from = { value: computed.get(name) || 0, adjoint: complete.get(name) };
      for (const element of all(".value, .adjoint", group)) add(element, element.classList.contains("adjoint"), from);
    }
    for (const group of all(".edge", graph)) {
      const source = group.dataset.from;
      const sent = place.get(group.dataset.label);
      made.edges.push({ element: group, from: source, to: group.dataset.to, sent });
      const from = { value: computed.get(source) || 0, adjoint: group.dataset.to ? sent : complete.get(source) };
      for (const element of all(".value, .adjoint", group)) add(element, element.classList.contains("adjoint"), from);
    }
  }

  // -- what is shown at a frame ---------------------------------------------------------------------------------------

  function state(parts, frames, k) {
    const frame = frames[k];
    for (const row of parts.rows) {
      const known = row.frame <= k;
      if (row.known) {
        hide(row.known, !known);
        hide(row.unknown, known);
      }
      let reached = -1;
      row.totals.forEach((total, n) => {
        if (Number(total.dataset.frame) <= k) reached = n;
      });
      const changed = reached >= 0 && Number(row.totals[reached].dataset.frame) === k;
      row.totals.forEach((total, n) => {
        total.classList.toggle("was", changed && n === reached - 1);
        hide(total, n !== reached && !(changed && n === reached - 1));
      });
      if (row.nothing) hide(row.nothing, reached >= 0 || row.totals.length === 0);
      const made = reached + 1;
      row.received.forEach((part, n) => {
        hide(part, n >= made || n < made - NEAR);
      });
      row.pending.forEach((part, n) => {
        hide(part, n < made || n >= made + NEAR);
      });
      more(row.earlier, made - NEAR, " before");
      more(row.later, row.pending.length - made - NEAR, " more");
      if (row.complete) hide(row.complete, made < row.pending.length);
      const name = row.element.dataset.name;
      row.element.classList.toggle("later", !known);
      row.element.classList.toggle("now", frame.target === name);
      row.element.classList.toggle("sender", frame.kind === "reverse" && frame.source === name);
    }
  }

  function more(element, count, words) {
    if (!element) return;
    hide(element, count <= 0);
    const text = count > 0 ? String(count) + words : "";
    if (element.textContent !== text) element.textContent = text;
  }

  // An attribute that is set to what it was costs a new layout all the same.
  function hide(element, yes) {
    if (element.hidden !== yes) element.hidden = yes;
  }

  function drawing(parts, frames, k, whole) {
    const frame = frames[k];
    for (const text of parts.texts) text.element.classList.toggle("later", !whole && !(text.frame <= k));
    for (const node of parts.nodes.values()) {
      node.element.classList.toggle("waiting", !whole && node.frame > k);
      node.element.classList.toggle("now", !whole && node.element.dataset.name === frame.source);
    }
    for (const edge of parts.edges) {
      const forward = frame.kind === "forward" && edge.to === frame.target;
      const seeded = frame.kind === "seed" && edge.from === frame.target && !edge.to;
      edge.element.classList.toggle("now", !whole && (forward || seeded || (frame.kind === "reverse" && edge.sent === k)));
    }
  }

  function marks(parts, frame, reveals, calm) {
    for (const element of parts.marked) element.classList.remove("now", "related");
    const rows = parts.locals.get(frame.step) || [];
    const equations = parts.equations.get(frame.key) || rows; // a derivation may be a table of the steps alone
    const lines = parts.lines.get(frame.key) || [];
    const locals = frame.kind === "reverse" && equations !== rows ? rows : [];
    parts.marked = [...equations, ...lines, ...locals];
    for (const element of [...equations, ...lines]) element.classList.add("now");
    for (const element of locals) element.classList.add("related");
    for (const element of parts.absent) {
      const why = (frame.absent || {})[element.dataset.absent];
      element.hidden = !why;
      element.textContent = why || "";
    }
    if (!reveals) return;
    const row = parts.rows.find((each) => each.element.dataset.name === frame.target);
    const node = parts.nodes.get(frame.source);
    const found = [["derivation", equations[0]], ["state", row && row.element], ["graph", node && node.element]];
    for (const [name, panel] of parts.panels) {
      const pair = found.find((each) => each[0] === name);
      reveal(panel, pair ? pair[1] : lines.find((line) => panel.contains(line)), calm);
    }
  }

  // Scrolls a panel, and nothing but the panel.
  function reveal(panel, element, calm) {
    if (!element) return;
    const box = panel.getBoundingClientRect();
    const inside = element.getBoundingClientRect();
    const room = 40; // the heads of a table stay in sight
    let top = 0;
    let left = 0;
    if (inside.top < box.top + room || inside.bottom > box.bottom - room) {
      top = inside.top + inside.height / 2 - box.top - box.height / 2;
    }
    const narrow = inside.width < box.width;
    if (narrow && (inside.left < box.left || inside.right > box.right)) {
      left = inside.left + inside.width / 2 - box.left - box.width / 2;
    }
    if (top || left) panel.scrollBy({ top, left, behavior: calm ? "auto" : "smooth" });
  }

  // -- words ----------------------------------------------------------------------------------------------------------

  const tag = (frame) => (frame.kind === "forward" || frame.kind === "reverse" ? "(" + frame.key + ") " : "");

  function title(frame) {
    return frame.kind === "start" ? "Start: the inputs" : tag(frame) + frame.words;
  }

  function when(frame, final) {
    if (final) return "After the last step";
    if (frame.kind === "start") return "Before the first step";
    return "After " + (tag(frame) ? "step " + tag(frame).trim() : "the start of the reverse sweep");
  }

  function announce(frame, mode) {
    const now = one("now");
    if (frame.kind === "start") {
      now.textContent = "Start: the inputs are given.";
      return;
    }
    const symbols = mode !== "numbers" || !frame.number ? " = " + frame.expression : "";
    let number = mode !== "symbols" && frame.number ? " = " + frame.number : "";
    if (number && frame.share) number = " adds " + frame.share + ", together " + frame.number;
    const label = document.createElement("span");
    label.className = "label";
    label.textContent = title(frame);
    now.replaceChildren(label, (frame.share && symbols ? ":" + symbols.slice(2) + (number ? "," : "") : symbols) + number);
  }

  // -- clicks and the address -----------------------------------------------------------------------------------------

  function wanted(place) {
    const found = /^#step=(.*)$/.exec(location.hash);
    try {
      return found ? place.get(decodeURIComponent(found[1])) : undefined;
    } catch {
      return undefined; // an address that somebody has changed
    }
  }

  function target(event, frames, place, at) {
    const link = event.target.closest("a[data-to]");
    if (link) return place.get(link.dataset.to);
    const node = event.target.closest(".symdiff-graph .node");
    if (node) return ofNode(node.dataset.name, frames, at);
    const equation = event.target.closest(".symdiff-derivation tbody[data-step]");
    if (equation) return place.get(equation.dataset.step);
    const line = event.target.closest(".line[data-steps]");
    return line ? place.get(line.dataset.steps.split(" ")[0]) : undefined;
  }

  // The step that makes a node; once the reverse sweep has begun, the first one that sends back from it.
  function ofNode(name, frames, at) {
    const backward = frames[at].kind === "seed" || frames[at].kind === "reverse";
    const sends = frames.findIndex((frame) => frame.kind === "reverse" && frame.source === name);
    const receives = frames.findIndex((frame) => frame.kind === "reverse" && frame.target === name);
    if (backward && sends >= 0) return sends;
    if (backward && receives >= 0) return receives;
    const makes = frames.findIndex((frame) => frame.kind === "forward" && frame.target === name);
    return makes >= 0 ? makes : 0;
  }

  // What scrolls can be reached with the keyboard.
  function focusable() {
    for (const element of all(".view, .wide, .formula, .inputs")) {
      const scrolls = element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1;
      if (scrolls) element.tabIndex = 0;
      else element.removeAttribute("tabindex");
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
