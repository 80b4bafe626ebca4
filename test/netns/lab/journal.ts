// A host's journal, changed by hand while its agent is dead: as whole lines, each with its checksum.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sealed, unsealed } from "../../../src/files/seal.ts";
import type { Cluster, Json } from "./cluster.ts";

export function journalPath(cluster: Cluster, host: string): string {
  return join(cluster.folder, host, "attachments.ndjson");
}

/** Each record as `change` gives it; fails if that changes nothing. */
export function editJournal(cluster: Cluster, host: string, change: (record: Json) => Json): void {
  const path = journalPath(cluster, host);
  const before = readFileSync(path, "utf8");
  const lines = before.split("\n").filter((line) => line !== "");
  const after = lines.map((line) => `${sealed(change(unsealed(line)?.value ?? assert.fail(line)))}\n`).join("");
  assert.notEqual(after, before);
  writeFileSync(path, after);
}

/** The journal says that all of it is of an earlier boot. */
export function ofAnotherBoot(cluster: Cluster, host: string): void {
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  editJournal(cluster, host, (record) => JSON.parse(JSON.stringify(record).replaceAll(boot, "a-boot-before-this-one")));
}
