"""What the tests of the page ask the browser: functions that run in the page and give back plain data."""

STATE = """() => Array.from(document.querySelectorAll("table.state tbody tr")).map((row) => {
  const seen = (selector) => Array.from(row.querySelectorAll(selector)).filter((e) => e.checkVisibility());
  return {
    name: row.dataset.name,
    value: seen(".known").map((e) => e.textContent),
    before: seen(".total.was").map((e) => e.textContent),
    adjoint: seen(".total:not(.was)").map((e) => e.textContent),
    received: seen(".received .part").map((e) => e.textContent),
    pending: seen(".pending .part").map((e) => e.textContent),
    complete: seen(".complete").length,
  };
})"""

MARKED = """() => ({
  equations: Array.from(document.querySelectorAll(".symdiff-derivation tbody.now td.tag")).map((e) => e.textContent),
  python: Array.from(document.querySelectorAll(".python .line.now")).map((e) => e.textContent),
  c: Array.from(document.querySelectorAll(".c .line.now")).map((e) => e.textContent),
  nodes: Array.from(document.querySelectorAll(".symdiff-graph .node.now")).map((e) => e.dataset.name),
  edges: Array.from(document.querySelectorAll(".symdiff-graph .edge.now")).map((e) => [e.dataset.from, e.dataset.to]),
  values: Array.from(document.querySelectorAll(".symdiff-graph .edge")).filter((e) => e.querySelector(".value"))
    .filter((e) => e.querySelector(".value").checkVisibility({visibilityProperty: true})).map((e) => e.dataset.from),
  adjoints: Array.from(document.querySelectorAll(".symdiff-graph .edge .adjoint"))
    .filter((e) => e.checkVisibility({visibilityProperty: true})).map((e) => e.parentElement.dataset.label || "seed"),
  now: document.getElementById("now").textContent,
  place: document.getElementById("count").textContent,
  absent: Array.from(document.querySelectorAll("[data-absent]")).filter((e) => !e.hidden).map((e) => e.textContent),
})"""

CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return Array.from(canvas.getImageData(0, 0, 1, 1).data);
  };
  const light = ([r, g, b]) => [r, g, b].map((x) => x / 255)
    .map((x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, k) => sum + x * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const found = rgba(getComputedStyle(at).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll("body *:not(script):not(style)")) {
    const own = Array.from(e.childNodes).some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !e.checkVisibility({visibilityProperty: true})) continue;
    const style = getComputedStyle(e);
    const ink = rgba(e.closest("svg") ? style.fill : style.color);
    const [a, b] = [light(ink), light(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5 || Number(style.opacity) < 1) bad.push(e.outerHTML.slice(0, 90));
  }
  return bad;
}"""

IN_SIGHT = """() => {
  const pairs = [[".derivation .view", "tbody.now"], [".python .view", ".line.now"], [".c .view", ".line.now"],
                 [".state .view", "tr.now"], [".graph .view", ".node.now"]];
  return pairs.map(([panel, mark]) => {
    const box = document.querySelector(panel).getBoundingClientRect();
    const at = document.querySelector(panel + " " + mark).getBoundingClientRect();
    return at.bottom > box.top && at.top < box.bottom && at.right > box.left && at.left < box.right;
  });
}"""

CUT_OFF = """() => Array.from(document.querySelectorAll(".view, .wide, .panel, .formula, .inputs"))
  .filter((e) => getComputedStyle(e).overflowX !== "visible" || getComputedStyle(e).overflowY !== "visible"
    || e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.className)"""

UNNAMED = """() => Array.from(document.querySelectorAll("button, input, a, summary, section, svg[role=img]"))
  .filter((e) => !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby") || e.textContent.trim()
    || (e.labels && e.labels.length && e.labels[0].textContent.trim()))).map((e) => e.outerHTML.slice(0, 80))"""

DANGLING = """() => Array.from(document.querySelectorAll("[aria-labelledby], [aria-describedby]"))
  .filter((e) => !document.getElementById(e.getAttribute("aria-labelledby") || e.getAttribute("aria-describedby")))
  .map((e) => e.outerHTML.slice(0, 80))"""

OUT_OF_REACH = """() => Array.from(document.querySelectorAll(".view, .wide, .formula, .inputs"))
  .filter((e) => e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1)
  .filter((e) => e.tabIndex < 0).map((e) => e.className)"""

UNSEEN_FOCUS = """() => {
  const e = document.activeElement;
  const shown = e.matches(".show input") ? e.nextElementSibling : e;
  return getComputedStyle(shown).outlineStyle === "none" ? e.outerHTML.slice(0, 60) : "";
}"""
