// YAML as the netplan reader walks it: mappings and lists with the line of each value. Aliases are followed, but only
// so many values are read: a small file can be a large tree.
import {
  type Alias,
  type Document,
  type Node,
  LineCounter,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  parseDocument,
  visit,
} from "yaml";
import type { Position } from "../plan.ts";
import { type Reading, type Word, note, problem } from "../reading.ts";

/** One file as a tree. */
type Tree = {
  readonly reading: Reading;
  readonly file: string;
  readonly lines: LineCounter;
  /** What each alias stands for. */
  readonly meant: ReadonlyMap<Alias, Node>;
  count: number;
};
export type Value = { readonly tree: Tree; readonly doc: Document; readonly node: Node; readonly at: Position };
export type Member = Value & { readonly key: string };

const VALUES_MAX = 100_000;

/** The top of a file; undefined if it is empty, or, with a problem, if it is not YAML. */
export function treeOf(text: string, file: string, reading: Reading): Value | undefined {
  const lines = new LineCounter();
  // Whether keys are unique is looked at below: the library compares each with all others.
  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const tree: Tree = { reading, file, lines, meant: aliasesIn(doc), count: 0 };
  const [error] = [...doc.errors, ...doc.warnings];
  if (error !== undefined) return problem(reading, positionAt(tree, error.pos[0]), "this is not YAML", error.message);
  return doc.contents === null ? undefined : valueOf(tree, doc, doc.contents);
}

/** In one walk: the library's own look-up walks through all of the document for each alias. */
function aliasesIn(doc: Document): ReadonlyMap<Alias, Node> {
  const anchors = new Map<string, Node>();
  const meant = new Map<Alias, Node>();
  visit(doc, {
    Node(_, node) {
      if (!isAlias(node)) {
        if (isNode(node) && "anchor" in node && node.anchor !== undefined) anchors.set(node.anchor, node);
        return;
      }
      const found = anchors.get(node.source);
      if (found !== undefined) meant.set(node, found);
    },
  });
  return meant;
}

function positionAt({ file, lines }: Tree, offset: number): Position {
  return { file, line: lines.linePos(offset).line };
}

function valueOf(tree: Tree, doc: Document, node: Node): Value | undefined {
  const at = positionAt(tree, node.range?.[0] ?? 0);
  if (++tree.count > VALUES_MAX) {
    // Once is enough.
    if (tree.count === VALUES_MAX + 1)
      problem(tree.reading, at, "this file", "its aliases multiply to too many values");
    return undefined;
  }
  const meant = isAlias(node) ? tree.meant.get(node) : node;
  return meant === undefined
    ? problem(tree.reading, at, "an alias", "nothing has this anchor")
    : { tree, doc, node: meant, at };
}

/** The members of a mapping that have a value; none, with a problem, of anything else. */
export function membersOf({ tree, doc, node, at }: Value): readonly Member[] {
  if (isScalar(node) && node.value === null) return [];
  if (!isMap(node)) {
    problem(tree.reading, at, shown(node), "this must be a mapping");
    return [];
  }
  const keys = new Set<unknown>();
  return node.items.flatMap(({ key, value }): readonly Member[] => {
    if (!isScalar(key)) return note(tree.reading, at, "a key of this mapping", "it is not text") ?? [];
    const keyAt = positionAt(tree, key.range?.[0] ?? 0);
    if (keys.has(key.value)) return problem(tree.reading, keyAt, String(key.value), "this key is there twice") ?? [];
    keys.add(key.value);
    const read = value === null ? undefined : valueOf(tree, doc, value as Node);
    return read === undefined ? [] : [{ ...read, at: keyAt, key: String(key.value) }];
  });
}

/** The items of a list; none, with a problem, of anything else. */
export function itemsOf({ tree, doc, node, at }: Value): readonly Value[] {
  if (isSeq(node)) return node.items.flatMap((item) => valueOf(tree, doc, item as Node) ?? []);
  if (!isScalar(node) || node.value !== null) problem(tree.reading, at, shown(node), "this must be a list");
  return [];
}

/** The text of a scalar, as it was written; undefined for anything else. */
export function textOf({ node }: Value): string | undefined {
  if (!isScalar(node) || node.value === null) return undefined;
  return typeof node.value === "string" ? node.value : node.source;
}

/** A scalar as a word of `of`; undefined, with a problem, for anything else. */
export function wordOf(value: Value, of: string): Word | undefined {
  const text = textOf(value);
  if (text !== undefined) return { text, at: value.at, of };
  return problem(value.tree.reading, value.at, of, "this must be one value");
}

function shown(node: Node): string {
  return isScalar(node) ? String(node.value) : isSeq(node) ? "a list" : "a mapping";
}
