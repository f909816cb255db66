// Light and dark theme: the setting of the system until the button is pressed. Drawings use the colors of the style sheet.

class Theme {
  constructor(button) {
    this.listeners = [];
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    this.set(dark.matches);
    dark.addEventListener("change", () => this.set(dark.matches));
    button.addEventListener("click", () => this.set(!this.dark));
  }

  set(dark) {
    this.dark = dark;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    for (const listener of this.listeners) listener();
  }

  onChange(listener) {
    this.listeners.push(listener);
  }

  color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }
}
