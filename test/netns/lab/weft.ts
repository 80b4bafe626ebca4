// The CLI against a cluster, where a test knows what becomes of the command.
import assert from "node:assert/strict";
import type { Cluster } from "./cluster.ts";

/** `weft` is a command that succeeds, and gives what it prints; `refused` is one that fails with these words. */
export function cliOf(cluster: Cluster) {
  return {
    weft: async (...words: readonly string[]): Promise<string> => {
      const { code, stderr, stdout } = await cluster.weft(...words);
      assert.equal(code, 0, stderr);
      return stdout + stderr;
    },
    refused: async (pattern: RegExp, ...words: readonly string[]): Promise<void> => {
      const { code, stderr } = await cluster.weft(...words);
      assert.notEqual(code, 0, words.join(" "));
      assert.match(stderr, pattern);
    },
  };
}
