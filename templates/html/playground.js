// The playground: what is typed goes to the server, what comes back is shown. Text from the server is put in as text.

import { $, made, showNumbers, table } from "./playground_tables.js";

const pageId = crypto.randomUUID();
const WAIT = 300; // milliseconds without a key before the server is asked
const SLOW = 500; // milliseconds after which the page says that it waits
const SMALLEST = 0.65; // a wide graph is shrunk to this at most, then the panel scrolls
const TYPES = {
  html: ["html", "text/html"],
  graph: ["svg", "image/svg+xml"],
  latex: ["tex", "text/x-tex"],
  markdown: ["md", "text/markdown"],
  python: ["py", "text/x-python"],
  c: ["c", "text/x-c"],
  h: ["h", "text/x-c"],
};
const state = { text: "", name: "formula", values: table(), bindings: table(), off: [], tab: "derivation" };
const options = { style: "full", level: "step", digits: "8" };
let examples = {};
let shown = { inputs: [], functions: [], parts: {} };
let timer = 0;
let asking = null;
let place = null; // step and scrolling of the derivation, as its page tells them
let placeOf = "";

// -- state in the address ---------------------------------------------------------------------------------------------

function remember() {
  history.replaceState(null, "", `#${encodeURIComponent(JSON.stringify({ ...state, options }))}`);
}

function recall() {
  let found;
  try {
    found = JSON.parse(decodeURIComponent(location.hash.slice(1)));
  } catch {
    return false; // no state, or an address that somebody has changed
  }
  if (typeof found !== "object" || found === null || typeof found.text !== "string") return false;
  const texts = (given) => table(Object.entries(given || {}).filter(([, text]) => typeof text === "string"));
  state.text = found.text;
  state.values = texts(found.values);
  state.bindings = texts(found.bindings);
  if (Array.isArray(found.off)) state.off = found.off.filter((name) => typeof name === "string");
  for (const [name, text] of Object.entries(texts(found.options))) {
    if ([...($(name)?.options ?? [])].some((choice) => choice.value === text) && name in options) options[name] = text;
  }
  if (typeof found.name === "string") state.name = found.name;
  if (typeof found.tab === "string" && $(`tab-${found.tab}`)) state.tab = found.tab;
  return true;
}

// -- asking -----------------------------------------------------------------------------------------------------------

async function ask(want, signal) {
  const variables = shown.inputs.filter((given) => !given.constant).map((given) => given.name);
  const off = variables.filter((name) => state.off.includes(name));
  const answer = await fetch("question", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({
      page: `${pageId}-${want}`,
      want,
      text: state.text,
      name: state.name,
      wrt: off.length ? variables.filter((name) => !off.includes(name)) : null,
      values: state.values,
      bindings: state.bindings,
      ...options,
      digits: Number(options.digits),
    }),
    signal,
  });
  if (!answer.ok) {
    const reason = answer.status === 413 ? "the formula and its values are too long for this page" : await answer.text();
    return { error: { message: reason.trim(), line: null, column: null, length: null } };
  }
  return answer.json();
}

function later(delay = WAIT) {
  remember();
  clearTimeout(timer);
  timer = setTimeout(update, delay);
}

async function update() {
  clearTimeout(timer);
  asking?.abort();
  const current = (asking = new AbortController());
  const slow = setTimeout(() => current.signal.aborted || say("Working ..."), SLOW);
  let answer;
  try {
    answer = await ask("parts", current.signal);
  } catch (error) {
    if (current.signal.aborted) return; // a newer question is under way
    answer = { error: { message: "the server does not answer; is symdiff serve still running?", line: null } };
  } finally {
    clearTimeout(slow);
  }
  if (current.signal.aborted) return;
  asking = null;
  show(answer);
}

function say(text) {
  $("status").textContent = text;
}

// -- showing ----------------------------------------------------------------------------------------------------------

function show(answer) {
  const variablesBefore = JSON.stringify(shown.inputs);
  if (answer.inputs) {
    shown.inputs = answer.inputs;
    shown.functions = answer.functions;
    if (variablesBefore !== JSON.stringify(answer.inputs)) showInputs();
    showFunctions();
  }
  showProblem(answer.error || null);
  $("results").classList.toggle("stale", Boolean(answer.error));
  if (answer.error) {
    say("");
    return;
  }
  const fields = table(Object.entries(answer.fields));
  for (const { name } of shown.inputs) {
    const wrong = fields[name] || "";
    const field = $(`value-${name}`);
    field.setAttribute("aria-invalid", String(Boolean(wrong)));
    $(`wrong-${name}`).textContent = wrong;
  }
  shown.parts = answer.parts;
  shown.notes = answer.notes;
  showParts(answer);
  showNumbers(answer);
  say(words(answer));
}

function words(answer) {
  const wrong = Object.keys(answer.fields);
  if (wrong.length) return `Without numbers: look at ${wrong.join(", ")}.`;
  if (answer.missing.length) return `Without numbers: no value for ${answer.missing.join(", ")}.`;
  return answer.numbers ? "Up to date." : "Without numbers: the tab Numbers says why.";
}

function showProblem(error) {
  const box = $("problem");
  $("formula").setAttribute("aria-invalid", String(Boolean(error && error.line)));
  box.hidden = !error;
  mark(error);
  if (!error) {
    box.replaceChildren();
    return;
  }
  if (!error.line) {
    box.replaceChildren(error.message);
    return;
  }
  const line = state.text.split("\n")[error.line - 1] ?? "";
  const start = Math.max(0, error.column - 1 - 24);
  const excerpt = line.slice(start, start + 60);
  const carets = "^".repeat(Math.max(1, Math.min(error.length, 60 - (error.column - 1 - start))));
  const place = made("button", { type: "button", textContent: `line ${error.line}, column ${error.column}` });
  place.addEventListener("click", () => goTo(error));
  const picture = made("pre", { id: "excerpt", aria: { hidden: "true" } });
  picture.textContent = `${excerpt}\n${" ".repeat(error.column - 1 - start)}${carets}`;
  box.replaceChildren(place, `: ${error.message}`, picture);
}

function offset(error) {
  const lines = state.text.split("\n").slice(0, error.line - 1);
  return lines.reduce((sum, line) => sum + line.length + 1, 0) + error.column - 1;
}

function goTo(error) {
  const at = offset(error);
  $("formula").focus();
  $("formula").setSelectionRange(at, at + error.length);
}

// The text once more, behind the field, with the place of the error marked.
function mark(error) {
  const text = state.text;
  const behind = $("marks");
  if (!error || !error.line) {
    behind.replaceChildren(`${text}\n`);
  } else {
    const at = offset(error);
    const bad = text.slice(at, at + error.length).replace("\n", "") || " ";
    behind.replaceChildren(text.slice(0, at), made("mark", { textContent: bad }), `${text.slice(at + bad.length)}\n`);
  }
  follow();
}

function follow() {
  $("marks").scrollTop = $("formula").scrollTop;
  $("marks").scrollLeft = $("formula").scrollLeft;
}

function showInputs() {
  const focused = document.activeElement?.id;
  $("inputs").replaceChildren(...shown.inputs.map(inputRow));
  $("tick").hidden = shown.inputs.length === 0;
  if (focused) $(focused)?.focus();
}

function inputRow(given) {
  const { name, rank } = given;
  const id = `value-${name}`;
  const tick = made("input", { type: "checkbox", checked: !given.constant && !state.off.includes(name) });
  tick.disabled = given.constant;
  tick.setAttribute("aria-label", `differentiate by ${name}`);
  tick.addEventListener("change", () => {
    state.off = state.off.filter((other) => other !== name);
    if (!tick.checked) state.off.push(name);
    later(0);
  });
  const kind = given.constant ? "constant" : rank ? given.shape : "";
  const label = made("label", { htmlFor: id }, made("code", { textContent: name }));
  if (kind) label.append(made("span", { className: "shape", textContent: rank && given.constant ? `${given.shape} const` : kind }));
  const field = rank ? made("textarea", { rows: rank === 1 ? 1 : 3, wrap: "off" }) : made("input", { type: "text" });
  Object.assign(field, { id, value: state.values[name] ?? "", spellcheck: false, autocomplete: "off" });
  if (!rank) field.inputMode = "text"; // a keyboard for numbers often has no minus sign
  field.placeholder = given.default === null ? "" : given.default.replaceAll("\n", "; ").slice(0, 40);
  field.setAttribute("aria-describedby", `wrong-${name}`);
  field.addEventListener("input", () => {
    state.values[name] = field.value;
    later();
  });
  const wrong = made("span", { id: `wrong-${name}`, className: "wrong", role: "alert" });
  return made("div", { className: "given" }, tick, label, field, wrong);
}

function showFunctions() {
  const there = [...$("functions").querySelectorAll("input")].map((field) => field.dataset.name);
  if (JSON.stringify(there) === JSON.stringify(shown.functions)) return;
  $("functions").replaceChildren(
    ...shown.functions.map((name) => {
      const field = made("input", { id: `bind-${name}`, data: { name }, value: state.bindings[name] ?? "" });
      Object.assign(field, { spellcheck: false, autocomplete: "off" });
      field.placeholder = "tanh, or def f(z): return z/(1 + z**2)";
      field.addEventListener("input", () => {
        state.bindings[name] = field.value;
        later();
      });
      const label = made("label", { htmlFor: field.id }, "Function ", made("code", { textContent: name }), " is");
      return made("div", { className: "bound" }, label, field);
    }),
  );
}

function showParts({ parts, notes, document: address }) {
  for (const place of document.querySelectorAll("[data-part]")) place.textContent = parts[place.dataset.part] ?? "";
  for (const place of document.querySelectorAll("[data-note]")) {
    const note = notes[place.dataset.note] || "";
    place.textContent = note;
    place.hidden = !note;
  }
  for (const button of document.querySelectorAll("[data-download]")) {
    const part = button.dataset.download;
    button.textContent = `Download ${state.name}.${TYPES[part][0]}`;
    button.disabled = !(part in parts);
  }
  for (const button of document.querySelectorAll("[data-copy]")) button.disabled = !(button.dataset.copy in parts);
  for (const heading of document.querySelectorAll("[data-of]")) heading.hidden = !(heading.dataset.of in parts);
  for (const place of document.querySelectorAll(".code")) place.hidden = !(place.dataset.part in parts);
  $("copy-latex").disabled = !("latex" in parts);
  $("package").textContent = `Download the package ${state.name}.zip`;
  chooseLatex();
  showDocument(address);
  showGraph(parts.graph);
}

// The page of the derivation, in a frame without an origin. The old one stays until the new one is there.
function showDocument(address) {
  if (!address) {
    $("document").replaceChildren();
    return;
  }
  if (placeOf !== state.name) place = null; // another formula is read from its beginning
  placeOf = state.name;
  const frame = made("iframe", { title: "Derivation", className: "coming", src: address });
  frame.setAttribute("sandbox", "allow-scripts");
  frame.addEventListener("load", () => {
    if (place) frame.contentWindow.postMessage(place, "*"); // a frame without an origin has no other name
    for (const other of $("document").querySelectorAll("iframe")) if (other !== frame) other.remove();
    frame.classList.remove("coming");
  });
  $("document").append(frame);
}

function showGraph(svg) {
  for (const old of $("graph").querySelectorAll("img")) URL.revokeObjectURL(old.src);
  $("graph").replaceChildren();
  if (!svg) return;
  const described = svg.match(/<desc>([^<]*)<\/desc>/)?.[1] ?? "Computation graph"; // escaped, as it stands in XML
  const picture = made("img", { src: URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" })) });
  picture.alt = new DOMParser().parseFromString(described, "text/html").body.textContent;
  picture.addEventListener("load", () => {
    picture.style.minWidth = `${SMALLEST * picture.naturalWidth}px`;
  });
  $("graph").append(picture);
}

// -- copying and downloading ------------------------------------------------------------------------------------------

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied.`);
  } catch {
    say("The browser does not let this page copy; select the text and press Ctrl+C.");
  }
}

function save(name, type, content) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = made("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

async function savePackage() {
  const button = $("package");
  button.disabled = true;
  try {
    const answer = await ask("package");
    const wrong = answer.error?.message ?? answer.notes?.package;
    if (wrong) {
      say(`No package: ${wrong}`);
      return;
    }
    const bytes = Uint8Array.from(atob(answer.package), (letter) => letter.charCodeAt(0));
    save(`${state.name}.zip`, "application/zip", bytes);
  } catch {
    say("The server does not answer; is symdiff serve still running?");
  } finally {
    button.disabled = false;
  }
}

async function suggest() {
  let answer;
  try {
    answer = await ask("values");
  } catch {
    say("The server does not answer; is symdiff serve still running?");
    return;
  }
  const wrong = answer.error?.message ?? answer.notes?.numbers;
  if (wrong) {
    say(`No values: ${wrong}`);
    return;
  }
  setValues([...Object.entries(state.values), ...Object.entries(answer.values)]);
}

function setValues(entries) {
  state.values = table(entries);
  for (const { name } of shown.inputs) $(`value-${name}`).value = state.values[name] ?? "";
  later(0);
}

// -- tabs -------------------------------------------------------------------------------------------------------------

function choose(name, focus = false) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    $(tab.getAttribute("aria-controls")).hidden = !chosen;
    if (chosen && focus) tab.focus();
  }
  state.tab = name;
}

function walk(event) {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const here = tabs.indexOf(event.target);
  const next = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  choose(tabs[(next + tabs.length) % tabs.length].id.slice(4), true);
  remember();
}

function chooseLatex() {
  const whole = $("whole").checked;
  for (const place of document.querySelectorAll("[data-part=latex], [data-part=fragment]")) {
    place.hidden = (place.dataset.part === "latex") !== whole || !(place.dataset.part in shown.parts);
  }
}

// -- start ------------------------------------------------------------------------------------------------------------

function setExample(name) {
  const { text, values, bindings } = examples[name];
  Object.assign(state, { text, name, values: table(Object.entries(values)), off: [] });
  state.bindings = table(Object.entries(bindings));
  shown.inputs = [];
  shown.functions = [];
  fill();
  later(0);
}

function fill() {
  $("formula").value = state.text;
  $("name").value = state.name;
  for (const [name, text] of Object.entries(options)) $(name).value = text;
  $("functions").replaceChildren();
  mark(null);
}

function listen() {
  $("formula").addEventListener("input", () => {
    state.text = $("formula").value;
    mark(null);
    later();
  });
  $("formula").addEventListener("scroll", follow);
  new ResizeObserver(follow).observe($("formula"));
  $("name").addEventListener("input", () => {
    state.name = $("name").value.trim() || "formula";
    later();
  });
  $("example").addEventListener("change", () => {
    if ($("example").value) setExample($("example").value);
    $("example").value = "";
  });
  for (const name of Object.keys(options)) {
    $(name).addEventListener("change", () => {
      options[name] = $(name).value;
      later(0);
    });
  }
  $("suggest").addEventListener("click", suggest);
  $("clear").addEventListener("click", () => setValues([]));
  $("package").addEventListener("click", savePackage);
  $("whole").addEventListener("change", chooseLatex);
  $("copy-latex").addEventListener("click", () =>
    copy($("whole").checked ? shown.parts.latex : shown.parts.fragment, "LaTeX"),
  );
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", () => copy(shown.parts[button.dataset.copy], button.textContent.slice(5)));
  }
  for (const button of document.querySelectorAll("[data-download]")) {
    const [ending, type] = TYPES[button.dataset.download];
    button.addEventListener("click", () => save(`${state.name}.${ending}`, type, shown.parts[button.dataset.download]));
  }
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.addEventListener("click", () => {
      choose(tab.id.slice(4));
      remember();
    });
    tab.addEventListener("keydown", walk);
  }
  window.addEventListener("message", ({ source, data }) => {
    const frame = $("document").querySelector("iframe:not(.coming)");
    if (frame && source === frame.contentWindow) place = data;
  });
  window.addEventListener("hashchange", () => {
    if (!recall()) return;
    shown.inputs = [];
    fill();
    choose(state.tab);
    update();
  });
}

async function start() {
  listen();
  const known = recall();
  choose(state.tab);
  examples = await (await fetch("examples.json")).json();
  if (known) {
    fill();
    update();
  } else {
    setExample("graph_b");
  }
}

if (location.search) {
  location.replace(`${location.pathname}${location.hash}`); // the token has become a cookie; it need not stay in sight
} else {
  start();
}
