// The examples of docs/physical.md, one after another against one cluster: a reader who follows the page meets no
// refusal that the page does not speak of.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { CommandLine } from "../commandLine.ts";

const cli = new CommandLine();

before(async () => {
  await cli.open();
  await cli.joinHost("h1", "172.31.0.1");
  await cli.joinHost("h3", "172.31.0.3");
});
after(() => cli.close());

/** Commands of code blocks, without their comments; agents are not started. */
function commandsOf(page: string): string[] {
  const blocks = [...page.matchAll(/^```\n([\s\S]*?)^```/gm)].map(([, block = ""]) => block);
  return blocks
    .flatMap((block) => block.split("\n"))
    .map((line) => line.replace(/\s+#.*/, ""))
    .filter((line) => line.startsWith("weft ") && !line.startsWith("weft agent "));
}

test("the examples of docs/physical.md can be run one after another", async () => {
  const page = readFileSync(`${import.meta.dirname}/../../../../docs/physical.md`, "utf8");
  const commands = commandsOf(page);
  assert.ok(commands.length >= 10, commands.join("\n"));
  for (const command of commands) {
    const { code, stderr } = await cli.weft(command.split(/\s+/).slice(1));
    assert.equal(code, 0, `${command}\n${stderr}`);
  }
});
