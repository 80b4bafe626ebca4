// The kinds of bugs that are planted: mistakes of one line that a compiler accepts. Each rule looks at one node of the
// syntax tree and returns edits; types and lint reject most of the senseless ones afterwards.
import type { Node } from "oxc-parser";
import type { Edit } from "./edit.ts";
import { familyEdits } from "./families.ts";

type Site = {
  readonly node: Node;
  /** The nearest first. */
  readonly parents: readonly Node[];
  readonly source: string;
  /** String literals by the name of the property or variable that has them, in the whole file. */
  readonly words: ReadonlyMap<string, readonly string[]>;
};

type Rule = (site: Site) => Omit<Edit, "kind">[];
type Span = { readonly start: number; readonly end: number };

export const KINDS: Readonly<Record<string, Rule>> = {
  condition,
  comparison,
  clause,
  bound,
  arithmetic,
  await: awaits,
  guard,
  call: (site) => (isRollback(site) ? [] : droppedStatement(site, "CallExpression")),
  assignment: (site) => (isRollback(site) ? [] : droppedStatement(site, "AssignmentExpression", "UpdateExpression")),
  rollback: (site) =>
    isRollback(site) ? droppedStatement(site, "CallExpression", "AssignmentExpression", "UpdateExpression") : [],
  arguments: swappedArguments,
  family: ({ node, source }) => familyEdits(node, source),
  boolean,
  word,
  method,
  left: leftOut,
};

const textOf = ({ source }: Site, { start, end }: Span) => source.slice(start, end);
const replaced = ({ start, end }: Span, text: string) => ({ start, end, text });

/** `if (a)`, `a ? b : c`: the other way round. */
function condition(site: Site) {
  const { node } = site;
  if (node.type !== "IfStatement" && node.type !== "ConditionalExpression") return [];
  return [replaced(node.test, `!(${textOf(site, node.test)})`)];
}

const OPPOSITES: Readonly<Record<string, string>> = { "===": "!==", "!==": "===", "==": "!=", "!=": "==" };

function comparison(site: Site) {
  const { node, parents } = site;
  if (node.type !== "BinaryExpression") return [];
  const [parent] = parents;
  const isWhole = (parent?.type === "IfStatement" || parent?.type === "ConditionalExpression") && parent.test === node;
  const other = OPPOSITES[node.operator];
  return other === undefined || isWhole ? [] : [operatorEdit(site, node, other)];
}

function operatorEdit(site: Site, node: { left: Span; right: Span; operator: string }, other: string) {
  const between = { start: node.left.end, end: node.right.start };
  return replaced(between, textOf(site, between).replace(node.operator, other));
}

/** Half of `a && b`, `a || b`, `a ?? b`, or the one for the other. */
function clause(site: Site) {
  const { node } = site;
  if (node.type !== "LogicalExpression") return [];
  const halves = [node.left, node.right].map((half) => replaced(node, textOf(site, half)));
  const other = { "&&": "||", "||": "&&", "??": undefined }[node.operator];
  if (other === undefined) return halves;
  const [left, right] = [textOf(site, node.left), textOf(site, node.right)];
  return [...halves, replaced(node, `((${left}) ${other} (${right}))`)];
}

const NEIGHBOURS: Readonly<Record<string, string>> = { "<": "<=", "<=": "<", ">": ">=", ">=": ">" };
/** Numbers that count and index. Larger ones are spans and sizes, where one more or less is no bug. */
const SMALL = 8;

function bound(site: Site) {
  const { node, parents } = site;
  if (node.type === "BinaryExpression") {
    const other = NEIGHBOURS[node.operator];
    const isStep = (node.operator === "+" || node.operator === "-") && /^1n?$/.test(textOf(site, node.right));
    if (isStep) return [replaced(node, textOf(site, node.left))];
    return other === undefined ? [] : [operatorEdit(site, node, other)];
  }
  if (node.type !== "Literal" || !/^\dn?$/.test(textOf(site, node))) return [];
  const parent = parents[0]?.type;
  if (parent !== "BinaryExpression" && parent !== "CallExpression" && parent !== "MemberExpression") return [];
  const number = Number.parseInt(textOf(site, node), 10);
  const suffix = textOf(site, node).endsWith("n") ? "n" : "";
  if (number > SMALL) return [];
  return [number + 1, number - 1].filter((n) => n >= 0).map((n) => replaced(node, `${n}${suffix}`));
}

const ARITHMETIC: Readonly<Record<string, string>> = {
  "+": "-",
  "-": "+",
  "*": "/",
  "/": "*",
  "%": "/",
  "<<": ">>",
  ">>": "<<",
  "&": "|",
  "|": "&",
};

function arithmetic(site: Site) {
  const { node } = site;
  if (node.type !== "BinaryExpression") return [];
  const other = ARITHMETIC[node.operator];
  return other === undefined ? [] : [operatorEdit(site, node, other)];
}

/** A promise that is not waited for, in the ways that lint accepts. */
function awaits(site: Site) {
  const { node } = site;
  if (node.type === "ExpressionStatement" && node.expression.type === "AwaitExpression") {
    const { start, argument } = node.expression;
    return [replaced({ start, end: argument.start }, "void ")];
  }
  if (node.type === "ReturnStatement" && node.argument?.type === "AwaitExpression") {
    const { start, argument } = node.argument;
    return [replaced({ start, end: argument.start }, "")];
  }
  return [];
}

/** `if (a) return;` and its like, gone. */
function guard({ node }: Site) {
  if (node.type !== "IfStatement" || node.alternate !== null) return [];
  const { consequent } = node;
  const last = consequent.type === "BlockStatement" ? consequent.body.at(-1) : consequent;
  const jumps = ["ReturnStatement", "ThrowStatement", "ContinueStatement", "BreakStatement"];
  return last !== undefined && jumps.includes(last.type) ? [replaced(node, "void 0;")] : [];
}

/** Within a catch or a finally: what puts things back. */
function isRollback({ parents }: Site): boolean {
  return parents.some(
    (parent, i) =>
      parent.type === "CatchClause" || (parent.type === "TryStatement" && parent.finalizer === parents[i - 1]),
  );
}

function droppedStatement(site: Site, ...types: readonly string[]) {
  const { node } = site;
  if (node.type !== "ExpressionStatement") return [];
  const { expression } = node;
  const inner =
    expression.type === "AwaitExpression" || expression.type === "UnaryExpression" ? expression.argument : expression;
  const core = inner.type === "ChainExpression" ? inner.expression : inner;
  // `super()` and what only tells people is left alone.
  if (!types.includes(core.type) || /^(await )?(void )?(super|[\w.#?]*\blog)\b/.test(textOf(site, node))) return [];
  return [replaced(node, "void 0;")];
}

function swappedArguments(site: Site) {
  const { node } = site;
  if (node.type !== "CallExpression" && node.type !== "NewExpression") return [];
  // The least, greatest and product of two are the same in either order.
  if (/^Math\.(min|max|imul)$/.test(textOf(site, node.callee))) return [];
  return node.arguments.slice(1).flatMap((right, i) => {
    const left = node.arguments[i];
    if (left === undefined || textOf(site, left) === textOf(site, right)) return [];
    const between = site.source.slice(left.end, right.start);
    return [replaced({ start: left.start, end: right.end }, textOf(site, right) + between + textOf(site, left))];
  });
}

function boolean({ node }: Site) {
  return node.type === "Literal" && typeof node.value === "boolean" ? [replaced(node, String(!node.value))] : [];
}

/** A string in the place of another that the file uses under the same name: `access: "admin"`, `state === "lost"`. */
function word(site: Site) {
  const { node, parents, words } = site;
  if (node.type !== "Literal" || typeof node.value !== "string") return [];
  const known = words.get(wordNameOf(parents[0], node) ?? "") ?? [];
  const at = known.indexOf(node.value);
  const other = known[(at + 1) % known.length];
  return at < 0 || other === undefined || other === node.value ? [] : [replaced(node, JSON.stringify(other))];
}

/** Under which name a string literal stands. */
export function wordNameOf(parent: Node | undefined, literal: Node): string | undefined {
  if (parent?.type === "Property" && parent.value === literal && parent.key.type === "Identifier")
    return parent.key.name;
  if (parent?.type !== "BinaryExpression" || parent.right !== literal) return undefined;
  const { left } = parent;
  if (left.type === "Identifier") return left.name;
  return left.type === "MemberExpression" && left.property.type === "Identifier" ? left.property.name : undefined;
}

const METHODS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    some: "every",
    every: "some",
    min: "max",
    max: "min",
    floor: "ceil",
    ceil: "floor",
    startsWith: "endsWith",
    add: "delete",
    push: "unshift",
    find: "findLast",
  }),
);
/** Without these a list is still a list. */
const STEPS = ["filter", "sort", "toSorted", "reverse", "toReversed", "slice", "trim", "toLowerCase"];

function method(site: Site) {
  const { node } = site;
  if (node.type !== "CallExpression" || node.callee.type !== "MemberExpression") return [];
  const { object, property } = node.callee;
  if (property.type !== "Identifier") return [];
  const other = METHODS.get(property.name);
  if (other !== undefined) return [replaced(property, other)];
  return STEPS.includes(property.name) ? [replaced(node, textOf(site, object))] : [];
}

/** One thing of a list or an object forgotten. */
function leftOut(site: Site) {
  const { node } = site;
  if (node.type === "ObjectExpression") return node.properties.map((property) => withoutItem(site, property));
  if (node.type !== "ArrayExpression" || node.elements.length < 2) return [];
  return node.elements.flatMap((element) => (element === null ? [] : [withoutItem(site, element)]));
}

function withoutItem({ source }: Site, { start, end }: Span) {
  const comma = /^\s*,/.exec(source.slice(end))?.[0].length ?? 0;
  return replaced({ start, end: end + comma }, "");
}
