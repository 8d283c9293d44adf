import { mount } from "svelte";
import "./app.css";
import App from "./App.svelte";
import { keepFocus } from "./model/focus";

keepFocus();
mount(App, { target: document.getElementById("app")! });

// What was loaded once is there offline; a page opened from a file or by plain HTTP elsewhere has no worker.
if (import.meta.env.PROD && "serviceWorker" in navigator) {
  addEventListener("load", () => void navigator.serviceWorker.register("./sw.js").catch(() => {}));
}
