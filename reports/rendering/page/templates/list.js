(function () {
  "use strict";
  var told = JSON.parse(document.getElementById("data").textContent);
  var checks = told.checks, words = told.words, PAGE = 100, shown = PAGE;
  var body = document.querySelector("#rows tbody"), find = document.getElementById("find");
  var picks = [].slice.call(document.querySelectorAll("[data-pick]"));
  var chips = [].slice.call(document.querySelectorAll(".chip"));
  var state = { state: [], mark: [], find: "", sort: "gravity" }, found = [];
  checks.forEach(function (c) {
    c.text = (c.title + " " + c.id + " " + c.message + " " + c.requirement.join(" ")).toLowerCase();
  });
  function read() {
    var address = new URLSearchParams(location.hash.slice(1));
    state.state = address.getAll("state");
    state.mark = address.getAll("mark");
    state.find = address.get("find") || "";
    state.sort = address.get("sort") || "gravity";
    find.value = state.find;
    picks.forEach(function (p) { p.value = address.get(p.dataset.pick) || ""; });
  }
  function address() {
    var a = new URLSearchParams();
    state.state.forEach(function (s) { a.append("state", s); });
    state.mark.forEach(function (m) { a.append("mark", m); });
    if (state.find) a.set("find", state.find);
    picks.forEach(function (p) { if (p.value) a.set(p.dataset.pick, p.value); });
    if (state.sort !== "gravity") a.set("sort", state.sort);
    history.replaceState(null, "", "#" + a.toString());
  }
  function holds(c) {
    if (state.state.length && state.state.indexOf(c.state) < 0) return false;
    if (state.mark.some(function (m) { return c.marks.indexOf(m) < 0; })) return false;
    if (state.find && c.text.indexOf(state.find.toLowerCase()) < 0) return false;
    return picks.every(function (p) {
      var v = p.value, k = p.dataset.pick;
      if (!v) return true;
      if (k === "longer") return c.seconds >= Number(v);
      return k === "requirement" ? c.requirement.indexOf(v) >= 0 : c[k] === v;
    });
  }
  function order(a, b) {
    var down = state.sort[0] === "-", k = down ? state.sort.slice(1) : state.sort;
    var x = a[k], y = b[k];
    if (k === "gravity") { x = -a.gravity; y = -b.gravity; }
    if (k === "requirement") { x = x.join(" "); y = y.join(" "); }
    var d = typeof x === "number" ? x - y : String(x).localeCompare(String(y));
    return (down ? -d : d) || (a.id < b.id ? -1 : 1);
  }
  function element(name, text, kind) {
    var e = document.createElement(name);
    if (text !== undefined) e.textContent = text;
    if (kind) e.className = kind;
    return e;
  }
  function cell(row, label, text, kind) {
    var d = element("td", text, kind);
    d.dataset.l = label;
    row.appendChild(d);
    return d;
  }
  function row(c) {
    var r = element("tr"), mark = element("td"), p = element("span", undefined, "pill s-" + c.state);
    var sign = element("span", words[c.state][0]);
    sign.setAttribute("aria-hidden", "true");
    p.appendChild(sign);
    p.appendChild(document.createTextNode(words[c.state][1]));
    mark.appendChild(p);
    r.appendChild(mark);
    var head = element("th"), link = element("a", c.title);
    head.scope = "row";
    link.href = c.page;
    head.appendChild(link);
    c.marks.forEach(function (m) { head.appendChild(document.createTextNode(" ")); head.appendChild(element("span", m, "kind")); });
    head.appendChild(element("span", c.id, "why1 mono"));
    if (c.message) head.appendChild(element("span", c.message, "why1"));
    r.appendChild(head);
    cell(r, "Service", c.service);
    cell(r, "Requirement", c.requirement.join(" "));
    cell(r, "Owner", c.owner);
    cell(r, "Seconds", c.seconds.toFixed(2), "n");
    return r;
  }
  function draw() {
    found = checks.filter(holds).sort(order);
    var part = document.createDocumentFragment();
    found.slice(0, shown).forEach(function (c) { part.appendChild(row(c)); });
    body.textContent = "";
    body.appendChild(part);
    document.getElementById("shown").textContent =
      found.length.toLocaleString("en") + " of " + checks.length.toLocaleString("en") + " checks.";
    document.getElementById("more").hidden = found.length <= shown;
    chips.forEach(function (b) {
      var on = b.dataset.state ? state.state.indexOf(b.dataset.state) >= 0 : state.mark.indexOf(b.dataset.mark) >= 0;
      b.setAttribute("aria-pressed", String(on));
    });
    document.querySelectorAll("th[data-sort]").forEach(function (h) {
      var k = h.dataset.sort, s = state.sort === k ? "ascending" : state.sort === "-" + k ? "descending" : "none";
      h.setAttribute("aria-sort", s);
    });
  }
  function change() { shown = PAGE; address(); draw(); }
  function toggle(list, value) {
    var at = list.indexOf(value);
    if (at < 0) list.push(value); else list.splice(at, 1);
  }
  chips.forEach(function (b) {
    b.addEventListener("click", function () {
      if (b.dataset.state) toggle(state.state, b.dataset.state); else toggle(state.mark, b.dataset.mark);
      change();
    });
  });
  picks.forEach(function (p) { p.addEventListener("change", change); });
  find.addEventListener("input", function () { state.find = find.value; change(); });
  document.getElementById("clear").addEventListener("click", function () {
    history.replaceState(null, "", "#"); read(); change();
  });
  document.getElementById("more").addEventListener("click", function () { shown += 5 * PAGE; draw(); });
  document.querySelectorAll("th[data-sort] button").forEach(function (b) {
    b.addEventListener("click", function () {
      var k = b.parentNode.dataset.sort;
      state.sort = state.sort === k ? "-" + k : k;
      change();
    });
  });
  function move(by) {
    var links = [].slice.call(body.querySelectorAll("a")), at = links.indexOf(document.activeElement) + by;
    if (links.length) links[Math.max(0, Math.min(links.length - 1, at))].focus();
  }
  document.addEventListener("keydown", function (e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    var typing = /INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName);
    if (e.key === "Escape" && typing) document.activeElement.blur();
    if (typing) return;
    if (e.key === "/") { e.preventDefault(); find.focus(); }
    if (e.key === "j") move(1);
    if (e.key === "k") move(-1);
  });
  window.addEventListener("hashchange", function () { read(); shown = PAGE; draw(); });
  document.getElementById("filters").hidden = false;
  read();
  draw();
})();
