// Panels as tabs; arrow keys move between them.

class Tabs {
  constructor(list, opened) {
    this.tabs = [...list.querySelectorAll('[role="tab"]')];
    this.opened = opened;
    for (const tab of this.tabs) tab.addEventListener("click", () => this.select(tab));
    list.addEventListener("keydown", (event) => this.key(event));
    this.select(this.tabs[0]);
  }

  open(name) {
    this.select(this.tabs.find((tab) => tab.id === `tab-${name}`));
  }

  select(chosen) {
    for (const tab of this.tabs) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
    this.opened(chosen.id.replace("tab-", ""));
  }

  key(event) {
    const at = this.tabs.indexOf(document.activeElement);
    const last = this.tabs.length - 1;
    const next = {
      ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last,
    }[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    this.tabs[next].focus();
    this.select(this.tabs[next]);
  }
}
