// Rules that need the syntax tree of a file: the length of classes, the number of parameters, and the exported names.
import { type Class, type Node, parseSync, visitorKeys } from "oxc-parser";
import { bannedIn } from "./words.ts";

export type Source = { readonly file: string; readonly text: string };

const CLASS_LINES_MAX = 200;

/** Breaches of the cap on classes and of the word list, as `file:line: what`. */
export function shapeBreaches({ file, text }: Source): string[] {
  const { program, module } = parseSync(file, text);
  const lineAt = (offset: number) => text.slice(0, offset).split("\n").length;
  const classes = classesIn(program).flatMap(({ id, start, end }) => {
    const lines = lineAt(end) - lineAt(start) + 1;
    return lines > CLASS_LINES_MAX
      ? [`${file}:${lineAt(start)}: ${id?.name ?? "class"}: a class of ${lines} lines, at most ${CLASS_LINES_MAX}`]
      : [];
  });
  const names = module.staticExports.flatMap(({ entries }) =>
    entries.flatMap(({ exportName: { name }, start }) => {
      const banned = bannedIn(name ?? "");
      return banned === undefined
        ? []
        : [`${file}:${lineAt(start)}: ${name}: docs/glossary.md has another word for "${banned}"`];
    }),
  );
  return [...classes, ...names];
}

function classesIn(node: Node): Class[] {
  const inner = (visitorKeys[node.type] ?? []).flatMap((key) =>
    [(node as unknown as Record<string, unknown>)[key]].flat().filter(isNode).flatMap(classesIn),
  );
  return node.type === "ClassDeclaration" || node.type === "ClassExpression" ? [node, ...inner] : inner;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value;
}
