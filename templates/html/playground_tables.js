// The tables of numbers, and how elements of the page are made and found.

const SHOWN = 8; // rows and columns of an array in the tables of numbers; of a larger one, the first and last

export const $ = (id) => document.getElementById(id);

export function made(tag, properties = {}, ...children) {
  const { data = {}, aria = {}, ...rest } = properties;
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(aria)) element.setAttribute(`aria-${name}`, value);
  element.append(...children);
  return element;
}

// What is looked up by names of the formula: `constructor` and `__proto__` are names like any other.
export function table(entries = []) {
  const found = Object.create(null);
  for (const [name, value] of entries) found[name] = value;
  return found;
}

function figure(value) {
  if (!Array.isArray(value)) return value === null ? "" : String(value);
  if (!value.some(Array.isArray)) return `[${cut(value, "...").map(figure).join(", ")}]`;
  return `[${cut(value, "...").map((part) => figure(part).replaceAll("\n", "\n ")).join(",\n ")}]`;
}

function cut(list, dots) {
  return list.length <= SHOWN ? list : [...list.slice(0, SHOWN / 2), dots, ...list.slice(-SHOWN / 2)];
}

function tableOf(caption, heads, rows) {
  const head = made("tr", {}, ...heads.map((text) => made("th", { scope: "col", textContent: text })));
  const body = rows.map((row) => made("tr", {}, ...row.map((text) => made("td", { textContent: text }))));
  const whole = made("table", {}, made("caption", { textContent: caption }), made("thead", {}, head));
  whole.append(made("tbody", {}, ...body));
  return made("div", { className: "numbers" }, whole);
}

export function showNumbers({ numbers, missing, fields, notes }) {
  const place = $("numbers");
  if (!numbers) {
    const wanted = [...missing, ...Object.keys(fields)];
    const text = wanted.length ? `Numbers appear when these have a value: ${wanted.join(", ")}.` : "";
    place.replaceChildren(made("p", { className: "note", textContent: text, hidden: !text || Boolean(notes.numbers) }));
    return;
  }
  const value = made("p", { className: "value", id: "value", textContent: `value = ${figure(numbers.value)}` });
  const gradient = Object.entries(numbers.gradient).map(([name, found]) => [name, figure(found)]);
  const inputs = numbers.inputs.map((node) => ["", node.name, figure(node.value), figure(node.adjoint)]);
  const steps = numbers.steps.map((node) => [
    `(${node.n})`,
    `${node.name} = ${node.expression}`,
    figure(node.value),
    figure(node.adjoint),
  ]);
  const sends = numbers.reverse.flatMap((step) =>
    step.sends.map((send) => [`(${send.label})`, step.name, send.to, send.expression, figure(send.contribution)]),
  );
  place.replaceChildren(value);
  if (gradient.length) place.append(tableOf("Gradient", ["by", "derivative"], gradient));
  place.append(tableOf("Forward sweep", ["", "step", "value", "adjoint"], [...inputs, ...steps]));
  if (sends.length) place.append(tableOf("Reverse sweep", ["", "from", "to", "contribution", "value"], sends));
}
