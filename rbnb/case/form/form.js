// The form in which a person decides, shown by anywidget in JupyterLab.
//
// Rules: every text is put in as text, never as markup; nothing is fetched; what is typed is sent once, to Python,
// which checks it and writes the ledger. This page holds no evidence: what counts is the entry that Python reports.

let forms = 0;

/** How long to wait for the kernel, in milliseconds, before saying that it does not answer. */
const PATIENCE = 30000;

/** Make an element; attributes that are false or null are left out, strings among the children become text. */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

function facts(pairs) {
  const list = make("dl");
  for (const [label, value] of pairs) {
    if (value) list.append(make("dt", {}, label), make("dd", {}, value));
  }
  return list;
}

/** A labelled field; returns the row and the field itself. */
function labelled(id, label, help, field) {
  field.id = id;
  if (help) field.setAttribute("aria-describedby", `${id}-help`);
  const row = make("div", { class: "rbnb-field" }, make("label", { for: id }, label));
  if (help) row.append(make("span", { id: `${id}-help`, class: "rbnb-muted" }, help));
  row.append(field);
  return row;
}

/** What is said of an option beside its name. */
function told(option) {
  return [option.proposed ? "proposed" : "", option.risk ? `risk: ${option.risk}` : "", option.title].filter(Boolean);
}

function radio(option, group, id, choose) {
  const input = make("input", { type: "radio", name: group, id, value: option.name, "aria-describedby": `${id}-help` });
  input.addEventListener("change", () => choose(option));
  const name = make("label", { for: id }, option.name);
  const marks = told(option).map((text) => make("span", { class: "rbnb-mark" }, text));
  const help = make("div", { id: `${id}-help`, class: "rbnb-help" }, ...marks);
  for (const line of [option.objective, option.blast_radius && `It reaches: ${option.blast_radius}`]) {
    if (line) help.append(make("p", {}, line));
  }
  return make("div", { class: "rbnb-option" }, input, make("div", {}, name, help));
}

/** The part that asks why each other option was turned down; what was typed is kept when the choice changes. */
function turnedDown(prefix, options, reasons) {
  const body = make("div");
  const box = make("details", {}, make("summary", {}, "Options you turned down, and why (optional)"), body);
  box.hidden = true;
  function show(choice) {
    box.hidden = false;
    body.replaceChildren();
    options.forEach((option, number) => {
      if (option.name === choice) return;
      const field = make("input", { type: "text", maxlength: 4000 });
      field.value = reasons.get(option.name) ?? "";
      field.addEventListener("input", () => reasons.set(option.name, field.value));
      body.append(labelled(`${prefix}-not-${number}`, `Why not ${option.name}?`, "", field));
    });
  }
  return { box, show };
}

/** The part that asks for the values that nobody has given to the chosen action yet. */
function missingValues(prefix, values) {
  const box = make("fieldset", {}, make("legend", {}, "Values for this action"));
  box.hidden = true;
  function show(option) {
    const wanted = option.missing ?? [];
    box.hidden = wanted.length === 0;
    box.replaceChildren(make("legend", {}, `Values for ${option.name}; they may also be given later`));
    values.clear();
    wanted.forEach((value, number) => {
      const field = make("input", { type: "text", maxlength: 400, spellcheck: "false", autocomplete: "off" });
      field.addEventListener("input", () => values.set(value.name, field.value));
      box.append(labelled(`${prefix}-value-${number}`, value.name, value.help, field));
    });
  }
  return { box, show };
}

/** What is sent: the choice, its reason, and only those fields in which something was written. */
function answer(chosen, because, reasons, values) {
  const written = (map) => [...map].filter(([, text]) => text.trim());
  return {
    kind: "decide",
    choice: chosen ?? "",
    because,
    reject: Object.fromEntries(written(reasons).filter(([name]) => name !== chosen)),
    values: Object.fromEntries(written(values)),
  };
}

function recorded(outcome) {
  const rows = [
    ["Decision", outcome.choice],
    ["Because", outcome.because],
    ...outcome.rejected.map((one) => [`Not ${one.option}`, one.because]),
    ["By", `${outcome.by}, ${outcome.at}`],
    ["On record", `entry ${outcome.entry} of the ledger of ${outcome.incident}; ${outcome.how}`],
    ["Rests on", outcome.run],
  ];
  const head = make("p", { class: "rbnb-title" }, "Decided");
  const note = make("p", { class: "rbnb-muted" }, "Nothing was executed. Run this cell again to decide anew.");
  const box = make("div", { class: "rbnb-done", role: "status", tabindex: "-1" }, head, facts(rows), note);
  return box;
}

function heading(about, id) {
  const proposal = about.proposal;
  return [
    make("p", { class: "rbnb-title", id }, `Decide: ${about.incident}`),
    facts([
      ["Verdict", `${about.verdict}, ${about.severity}`],
      ["Proposed", proposal.action],
      ["Why", proposal.because],
      ["Decided so far", about.standing],
    ]),
  ];
}

function build(model, root) {
  const about = model.get("about");
  const prefix = `rbnb-decide-${++forms}`;
  const reasons = new Map();
  const values = new Map();
  let chosen = null;
  let waiting = 0;

  const rejected = turnedDown(prefix, about.options, reasons);
  const missing = missingValues(prefix, values);
  const choose = (option) => {
    chosen = option.name;
    rejected.show(chosen);
    missing.show(option);
  };
  const radios = (options, from) =>
    options.map((option, n) => radio(option, `${prefix}-choice`, `${prefix}-option-${from + n}`, choose));
  const choices = make(
    "fieldset", {}, make("legend", {}, "Your decision"), ...radios(about.options, 0),
    make("details", {}, make("summary", {}, "A verdict only"), ...radios(about.verdicts, about.options.length)),
  );

  const reason = make("textarea", { rows: 3, maxlength: 4000, required: true, "aria-required": "true" });
  const why = labelled(`${prefix}-because`, "Because (required)", "In a sentence; it stays on record.", reason);
  const wrong = make("div", { class: "rbnb-wrong", role: "alert" });
  const button = make("button", { type: "button" }, "Put on record");
  const who = make("span", { class: "rbnb-muted" }, `As ${about.user}, on run ${about.run}. Nothing is executed.`);

  button.addEventListener("click", () => {
    wrong.replaceChildren();
    button.disabled = true;
    button.textContent = "Recording …";
    waiting = setTimeout(() => refuse(silent), PATIENCE);
    model.send(answer(chosen, reason.value, reasons, values));
  });
  function refuse(outcome) {
    clearTimeout(waiting);
    button.disabled = false;
    button.textContent = "Put on record";
    wrong.replaceChildren(make("strong", {}, outcome.error), make("p", {}, outcome.hint ?? ""));
  }
  const silent = {
    error: "The kernel does not answer.",
    hint: `Whether it is on record is told by: rbnb show ${about.incident}. Without a kernel, run this cell again.`,
  };
  const form = make("div", { role: "form", "aria-labelledby": `${prefix}-title` });
  form.append(
    ...heading(about, `${prefix}-title`), choices, missing.box, why, rejected.box, wrong,
    make("div", { class: "rbnb-send" }, button, who),
  );
  root.replaceChildren(form);
  return refuse;
}

function render({ model, el }) {
  // Letters typed here are words, not the notebook's shortcuts.
  const root = make("div", { class: "rbnb-form", "data-lm-suppress-shortcuts": "true" });
  el.append(root);
  const refuse = build(model, root);
  const tell = () => {
    const outcome = model.get("outcome");
    if (outcome.error) refuse(outcome);
    else if (outcome.entry) {
      const done = recorded(outcome);
      const hadFocus = root.contains(document.activeElement);
      root.replaceChildren(done);
      if (hadFocus) done.focus();
    }
  };
  model.on("change:outcome", tell);
  tell();
  return () => model.off("change:outcome", tell);
}

export default { render };
