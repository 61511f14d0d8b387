// Which part is shown, by the address; and the key, where the proxy has keys.

import { h, fill, notice } from "./dom.js";
import { key } from "./api.js";
import { showAsk } from "./ask.js";
import { showEngines } from "./engines.js";
import { showList } from "./list.js";
import { showVerdict } from "./verdict.js";

const main = document.getElementById("main");
const change = document.getElementById("key");
let shown = 0;
let asking = false;

async function show() {
  const mine = ++shown;
  asking = false;
  const still = () => mine === shown;
  const path = location.pathname;
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.pathname === path || (link.pathname !== "/" && path.startsWith(`${link.pathname}/`));
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  change.hidden = !key.get();
  fill(main, h("p", { class: "muted" }, "Loading…"));
  try {
    if (path.startsWith("/verdicts/")) await showVerdict(main, decodeURIComponent(path.slice("/verdicts/".length)), still);
    else if (path === "/verdicts") await showList(main, path, still);
    else if (path === "/engines") await showEngines(main, path, still);
    else await showAsk(main, path, still);
  } catch (error) {
    if (still() && !asking) fill(main, h("h1", {}, "Not here"), notice(error.message || "The proxy cannot be reached.", "bad"));
  }
}

function askForKey() {
  if (asking) return;
  asking = true;
  shown += 1;
  const wrong = key.get() ? "This key is not valid." : null;
  key.forget();
  const input = h("input", { type: "password", name: "key", required: true, autocomplete: "off" });
  const take = (event) => {
    event.preventDefault();
    key.set(input.value.trim());
    show();
  };
  fill(main, h("form", { class: "keyform card", onsubmit: take }, h("h1", {}, "A key is needed"),
    h("p", {}, "This proxy has keys. Enter yours: it stays in this tab, and is sent to this proxy only."),
    wrong ? notice(wrong, "bad") : null, h("label", {}, "Key", input), h("button", { class: "primary" }, "Continue")));
  input.focus();
}

document.addEventListener("its-key-needed", askForKey);
change.addEventListener("click", () => { key.forget(); askForKey(); });
window.addEventListener("popstate", show);
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-link]");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
  event.preventDefault();
  history.pushState(null, "", link.href);
  show().then(() => { main.focus({ preventScroll: true }); window.scrollTo(0, 0); });
});
show();
