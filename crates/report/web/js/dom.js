/**
 * Elements from descriptions. A view returns a tree of descriptions; `dom.patch` changes the existing elements only where
 * the tree differs, so that an update keeps focus, scroll position, open details and selected text. Text becomes text nodes:
 * no name from the data is ever read as HTML.
 *
 * @typedef {{isNode: true, tag: string, props: Object, children: Array, key: *}} Node
 */
const dom = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  /**
   * A description of an element: `h("p.note", props, children...)` or, without props, `h("p.note", children...)`. Props: attributes;
   * `on...` handlers; `style` as an object; `key` for lists that change order; `value`, `checked`; `mount(element)` and
   * `update(element)` for elements whose contents are drawn elsewhere (`opaque: true`).
   */
  function h(name, ...rest) {
    const [tag, ...classes] = name.split(".");
    const hasProps = rest[0] && typeof rest[0] === "object" && !Array.isArray(rest[0]) && !rest[0].isNode;
    const props = hasProps ? { ...rest.shift() } : {};
    if (classes.length) props.class = classes.join(" ");
    if (tag === "button") props.type = "button";
    return { isNode: true, tag, props, children: flat(rest, []), key: props.key };
  }

  function flat(list, out) {
    for (const item of list) {
      if (Array.isArray(item)) flat(item, out);
      else if (item !== null && item !== undefined && item !== false && item !== true) out.push(typeof item === "object" ? item : String(item));
    }
    return out;
  }

  function create(node, svg) {
    if (typeof node === "string") return document.createTextNode(node);
    const inSvg = svg || node.tag === "svg";
    const element = inSvg ? document.createElementNS(SVG, node.tag) : document.createElement(node.tag);
    update(element, node, {}, inSvg);
    node.props.mount?.(element);
    return element;
  }

  /** Makes an element what `node` describes. */
  function update(element, node, before, inSvg) {
    for (const name of Object.keys(before)) if (!(name in node.props)) setProp(element, name, null, before[name]);
    for (const [name, value] of Object.entries(node.props)) {
      if (name !== "value" && value !== before[name]) setProp(element, name, value, before[name]);
    }
    if (!node.props.opaque) children(element, node.children, inSvg);
    if ("value" in node.props && element.value !== String(node.props.value)) element.value = node.props.value;
    element.described = node;
    node.props.update?.(element);
  }

  function setProp(element, name, value, before) {
    if (name === "key" || name === "mount" || name === "update" || name === "opaque" || name === "value") return;
    if (name.startsWith("on")) element[name] = value;
    else if (name === "checked" || name === "indeterminate") element[name] = Boolean(value);
    else if (name === "style") setStyle(element, value || {}, before || {});
    else if (name.startsWith("aria-") && typeof value === "boolean") element.setAttribute(name, String(value));
    else if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : value);
  }

  function setStyle(element, style, before) {
    for (const name of Object.keys(before)) if (!(name in style)) element.style.removeProperty(name);
    for (const [name, value] of Object.entries(style)) if (before[name] !== value) element.style.setProperty(name, value);
  }

  /** Whether an element can become what a node describes. */
  function fits(element, node) {
    if (typeof node === "string") return element.nodeType === 3;
    return element.nodeType === 1 && element.described?.tag === node.tag && element.described.key === node.key;
  }

  /** Makes the children of an element what the nodes describe. */
  function children(parent, nodes, inSvg) {
    const keyed = new Map();
    for (const child of parent.childNodes) if (child.described?.key !== undefined) keyed.set(child.described.key, child);
    let at = parent.firstChild;
    for (const node of nodes) {
      let child = node.key !== undefined && keyed.get(node.key);
      if (child && !fits(child, node)) child = null;
      if (!child && at && fits(at, node)) child = at;
      if (!child) {
        parent.insertBefore(create(node, inSvg), at);
        continue;
      }
      if (child === at) at = at.nextSibling;
      else parent.insertBefore(child, at);
      if (typeof node === "string") {
        if (child.data !== node) child.data = node;
      } else {
        update(child, node, child.described.props, inSvg || node.tag === "svg");
      }
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  /** Draws nodes into an element. Keeps the focus also if the focused element moved. */
  function patch(parent, nodes) {
    const focused = document.activeElement;
    children(parent, flat([nodes], []), false);
    if (focused && focused !== document.body && focused !== document.activeElement && focused.isConnected) {
      focused.focus({ preventScroll: true });
    }
  }

  return { h, patch };
})();

const { h } = dom;
