// Commands that pages and examples name: each exists, with all options that are given with it.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { runCli } from "../src/cli/cli.ts";
import type { Io } from "../src/cli/io.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const PAGES = ["README.md", "CHANGELOG.md", ...globSync("{docs/**/*.md,examples/*}", { cwd: ROOT })];

test("every command of weft that a page names exists, with its options", async () => {
  const unknown: string[] = [];
  let commands = 0;
  for (const page of PAGES) {
    const text = readFileSync(ROOT + page, "utf8");
    for (const line of commandsIn(text)) {
      commands++;
      for (const why of await strangersIn(line)) unknown.push(`${page}: ${line}: ${why}`);
    }
  }
  assert.ok(commands > 100, `found only ${commands} commands`);
  assert.deepEqual(unknown, []);
});

/** Lists of what is no resource, and has no labels. */
const WITHOUT_LABELS = ["audit list", "context list", "host token list", "token list"];

test("every list of resources takes a selector of labels", async () => {
  const lists: string[] = [];
  const walk = async (path: readonly string[]): Promise<void> => {
    for (const word of await wordsAfter(...path, "")) {
      if (word === "list") lists.push([...path, word].join(" "));
      else if (path.length < 2 && /^[a-z]/.test(word) && word !== "help") await walk([...path, word]);
    }
  };
  await walk([]);
  assert.ok(lists.includes("network list") && lists.includes("network range list"), lists.join(", "));
  const without: string[] = [];
  for (const list of new Set(lists))
    if (!(await wordsAfter(...list.split(" "), "--")).includes("--selector")) without.push(list);
  assert.deepEqual(without.sort(), WITHOUT_LABELS);
});

test("every script and bench that a page names exists", () => {
  const missing = PAGES.flatMap((page) =>
    [...readFileSync(ROOT + page, "utf8").matchAll(/script\/(\w+)(?: ([a-z]\w*))?/g)].flatMap(([, name = "", verb]) => {
      const isThere = existsSync(`${ROOT}script/${name}`);
      const isBench = name !== "bench" || verb === undefined || existsSync(`${ROOT}bench/${verb}.ts`);
      return isThere && isBench ? [] : [`${page}: script/${name} ${verb ?? ""}`];
    }),
  );
  assert.deepEqual(missing, []);
});

test("a command or an option that does not exist is found", async () => {
  assert.deepEqual(commandsIn("see `weft network\nshow blue`, and\n```\n$ bin/weft status   # all of it\n```\n"), [
    "network show blue",
    "status",
  ]);
  assert.deepEqual(await strangersIn("network create blue --subnet 10.7.0.0/16 --no-sticky"), []);
  assert.deepEqual(await strangersIn("network make blue"), ["make"]);
  assert.deepEqual(await strangersIn("vrf create|edit NAME --host-access=yes --vnu 7"), ["--vnu"]);
});

/** Command lines in code: after a prompt or at the start of a line of a block or comment, and in code within text. */
function commandsIn(text: string): string[] {
  const code = [...text.matchAll(/`(?:bin\/)?weft ([^`]+)`|^(?:\$ |# +)?(?:.*&& )?(?:bin\/)?weft (.+)$/gm)];
  return code.map(([, inline = "", line = ""]) =>
    (inline === "" ? line.replace(/ {2,}.*| +#.*$/, "") : inline).replaceAll(/\s+/g, " ").trim(),
  );
}

/** What of a command line is neither a verb nor an option of it; `create|edit` stands for both. */
async function strangersIn(line: string): Promise<string[]> {
  const strangers: string[] = [];
  let paths: string[][] = [[]];
  let isNamed = false;
  for (const word of line.split(" ").map((one) => one.replaceAll(/[[\],.;:…]/g, ""))) {
    if (word.startsWith("-")) {
      const option = word.replace(/=.*/, "");
      for (const path of paths)
        if (option.startsWith("--") && !(await wordsAfter(...path, "--")).includes(option)) strangers.push(option);
      continue;
    }
    const verbs = isNamed ? [] : await wordsAfter(...(paths[0] ?? []), "");
    if (verbs.length === 0 || word === "" || /^[A-Z<{]/.test(word)) isNamed = true;
    else if (!word.split("|").every((one) => verbs.includes(one))) return [word];
    else paths = paths.flatMap((path) => word.split("|").map((one) => [...path, one]));
  }
  return [...new Set(strangers)];
}

const known = new Map<string, Promise<readonly string[]>>();
/** What may follow these words, by the command tree that completes them. */
function wordsAfter(...words: readonly string[]): Promise<readonly string[]> {
  const key = words.join(" ");
  const before = known.get(key);
  if (before !== undefined) return before;
  const asked = completed(words);
  known.set(key, asked);
  return asked;
}

async function completed(words: readonly string[]): Promise<readonly string[]> {
  let text = "";
  const io: Io = {
    out: (more) => {
      text += more;
    },
    err: () => undefined,
    color: false,
    live: false,
    columns: 80,
    stdin: async () => "",
    ask: undefined,
    env: { WEFT_SERVER: "unix:/nonexistent" },
    clock: { nowMs: () => 0, monotonicMs: () => 0, sleep: async () => undefined },
    signal: new AbortController().signal,
  };
  const never = async () => 1;
  const programs = { server: never, agent: never, purge: never, demoUp: never, demoDown: never };
  assert.equal(await runCli(["completion", "words", "--", ...words], io, programs), 0);
  return text.split("\n").filter((word) => word !== "");
}
