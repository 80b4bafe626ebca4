// A process that runs scripts of nft one after the other, each a transaction, over and over for as long as it lives.
// Arguments: the namespace, and the scripts.
import assert from "node:assert/strict";
import { Namespaces } from "../../../src/kernel/namespaces.ts";
import { Ruleset } from "../../../src/kernel/ruleset.ts";

const [netns = "", ...scripts] = process.argv.slice(2);
const namespaces = new Namespaces(`/run/netns/${netns}`, "none-");
namespaces.inside("host", (space) => {
  const ruleset = new Ruleset(namespaces, space);
  for (let isFirst = true; ; isFirst = false) {
    for (const script of scripts) assert.equal(ruleset.run(script), undefined);
    if (isFirst) process.stdout.write("changing\n");
  }
});
