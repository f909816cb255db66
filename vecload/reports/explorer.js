// Create the parts of the page, and show the word in the address.

async function explore() {
  const element = (id) => document.getElementById(id);
  const data = await readData(element("data").textContent);
  const theme = new Theme(element("theme"));
  const navigation = new Navigation(data);
  const charts = new Charts(data.charts, theme);
  const tabs = new Tabs(document.querySelector('[role="tablist"]'), (name) => charts.open(name));
  const map = new WordMap(element("map"), data, theme);
  new Filters(element("filters"), data, map);
  new Search(element("search"), element("suggestions"), data, navigation);
  const selection = new Selection(element("panel-selection"), data, map, navigation, tabs);
  new Details(element("panel-word"), data, navigation, selection);
  new Gestures(map, navigation);
  // On a phone the panel of the word should follow the map at once.
  element("options").open = window.innerWidth > 960;
  element("rule").textContent = data.rule;
  navigation.connect(document.querySelector("aside"));
  await map.attach();
  navigation.onShow((at) => {
    if (at >= 0) tabs.open("word");
    map.show(at);
  });
  navigation.read();
  // Parts of the page by name, for tests and for the console.
  window.explorer = {data, theme, navigation, tabs, map, selection, charts};
  document.documentElement.dataset.ready = "true";
}

explore();
