// Every place of one source file where a bug can be planted. Text for people (faults, errors, logs, descriptions) is
// left out: no behaviour depends on it.
import { type Node, parseSync, visitorKeys } from "oxc-parser";
import { lineAt, type Mutant, planted } from "./edit.ts";
import { KINDS, wordNameOf } from "./kinds.ts";

type Visit = (node: Node, parents: readonly Node[]) => void;

/** All of them, in the order of the source. */
export function mutantsOf(file: string, source: string): Mutant[] {
  const { program } = parseSync(file, source);
  const words = wordsIn(program);
  const found: Mutant[] = [];
  walk(program, [], (node, parents) => {
    for (const [kind, rule] of Object.entries(KINDS)) {
      for (const edit of rule({ node, parents, source, words }))
        found.push({ ...edit, kind, file, zone: zoneOf(node, parents, source) });
    }
  });
  return withoutRepeats(found);
}

/** Whether the source with the bug in it is still a program. */
export function parses(mutant: Mutant, source: string): boolean {
  return parseSync(mutant.file, planted(source, [mutant])).errors.length === 0;
}

/** Two rules may come to the same text. */
function withoutRepeats(mutants: readonly Mutant[]): Mutant[] {
  const seen = new Set<string>();
  return mutants.filter(({ start, end, text }) => {
    const key = `${start} ${end} ${text}`;
    return !seen.has(key) && seen.add(key);
  });
}

function wordsIn(program: Node): ReadonlyMap<string, readonly string[]> {
  const words = new Map<string, Set<string>>();
  walk(program, [], (node, [parent]) => {
    if (node.type !== "Literal" || typeof node.value !== "string") return;
    const name = wordNameOf(parent, node);
    if (name !== undefined) words.set(name, (words.get(name) ?? new Set()).add(node.value));
  });
  return new Map([...words].map(([name, all]) => [name, [...all].toSorted()]));
}

/** Depth first, without types and mere words. */
function walk(node: Node, parents: readonly Node[], visit: Visit): void {
  if (isType(node)) return;
  visit(node, parents);
  const inner = [node, ...parents];
  for (const key of visitorKeys[node.type] ?? []) {
    const child = (node as unknown as Record<string, unknown>)[key];
    for (const one of Array.isArray(child) ? child : [child])
      if (isNode(one) && !isWords(node, one)) walk(one, inner, visit);
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value;
}

const TRANSPARENT = ["TSAsExpression", "TSSatisfiesExpression", "TSNonNullExpression"];

function isType({ type }: Node): boolean {
  return (
    (type.startsWith("TS") && !TRANSPARENT.includes(type)) ||
    type.startsWith("Import") ||
    type === "ExportAllDeclaration"
  );
}

const ERRORS = /^(Fault|\w*Error|assert)$/;
const DESCRIPTIONS = ["summary", "description", "fix", "what", "why", "where", "help"];

/** What errors say beyond their reason, logs, and descriptions. */
function isWords(parent: Node, child: Node): boolean {
  if (calleeOf(child) === "log") return true;
  if (parent.type === "Property" && parent.key.type === "Identifier")
    return parent.value === child && DESCRIPTIONS.includes(parent.key.name);
  if (parent.type !== "NewExpression" && parent.type !== "CallExpression") return false;
  return ERRORS.test(calleeOf(parent)) && child !== parent.callee && child !== parent.arguments[0];
}

/** `f` of `f()` and of `a.f()`. */
function calleeOf(node: Node): string {
  if (node.type !== "NewExpression" && node.type !== "CallExpression") return "";
  const { callee } = node;
  const named = callee.type === "MemberExpression" ? callee.property : callee;
  return "name" in named && typeof named.name === "string" ? named.name : "";
}

/** The outermost function or class member around a node; of a constant or a type, the whole statement. */
function zoneOf(node: Node, parents: readonly Node[], source: string): [number, number] {
  const path = [node, ...parents];
  const member = path.findLast(({ type }) => type === "MethodDefinition" || type === "PropertyDefinition");
  const { start, end } = member ?? path.at(-2) ?? node;
  return [lineAt(source, start), lineAt(source, end)];
}
