// What networkd and NetworkManager are told about Weft's devices, in files below a directory of the test's own.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ownDropIns, removeDropIns, syncDropIns, unwarned } from "../../../src/main/dropIns.ts";
import { type Snapshot, emptySnapshot } from "../../../src/model/resource.ts";

const NETWORKD = "systemd/network/05-weft.network";
const MANAGER = "NetworkManager/conf.d/05-weft.conf";
const snapshot = {
  ...emptySnapshot("c"),
  vrfs: [{ name: "host", spec: { placement: "host" } }],
  networks: [{ name: "mgmt", spec: { bridge: "br-mgmt" } }],
} as unknown as Snapshot;

function inFolder(run: (etc: string, log: (message: string) => void, said: string[]) => void): void {
  const etc = mkdtempSync(join(tmpdir(), "weft-etc-"));
  const said: string[] = [];
  try {
    run(etc, (message) => said.push(message), said);
  } finally {
    rmSync(etc, { recursive: true });
  }
}

test("a service that has a directory is told once, and again when there is another device", () => {
  inFolder((etc, log, said) => {
    assert.deepEqual(syncDropIns(etc, snapshot, log), []);
    assert.deepEqual([ownDropIns(etc), said], [[], []], "no service, no file");
    for (const folder of ["systemd/network", "NetworkManager/conf.d"])
      mkdirSync(join(etc, folder), { recursive: true });
    assert.deepEqual(syncDropIns(etc, undefined, log), []);
    assert.deepEqual(syncDropIns(etc, undefined, log), []);
    assert.equal(said.length, 2);
    assert.deepEqual(syncDropIns(etc, snapshot, log), []);
    assert.match(
      readFileSync(join(etc, NETWORKD), "utf8"),
      /\[Match\]\nName=wb-\* .* br-mgmt\n\n\[Link\]\nUnmanaged=yes\n$/,
    );
    assert.match(readFileSync(join(etc, MANAGER), "utf8"), /unmanaged-devices\+=interface-name:wb-\*;.*:br-mgmt\n$/);
    assert.deepEqual(ownDropIns(etc), [join(etc, NETWORKD), join(etc, MANAGER)]);
    removeDropIns(ownDropIns(etc));
    assert.ok(!existsSync(join(etc, NETWORKD)));
  });
});

test("another's file of the name stays and is told, and so is a directory that refuses", () => {
  inFolder((etc, log) => {
    mkdirSync(join(etc, "systemd/network"), { recursive: true });
    writeFileSync(join(etc, NETWORKD), "[Match]\nName=eth0\n");
    assert.match(syncDropIns(etc, snapshot, log).join(), /05-weft\.network is not Weft's and stays/);
    assert.equal(readFileSync(join(etc, NETWORKD), "utf8"), "[Match]\nName=eth0\n");
    assert.deepEqual(ownDropIns(etc), []);
    mkdirSync(join(etc, "NetworkManager"), { recursive: true });
    writeFileSync(join(etc, "NetworkManager/conf.d"), "");
    assert.match(
      syncDropIns(etc, snapshot, log).join(),
      /05-weft\.conf cannot be written .* NetworkManager may change/,
    );
  });
});

test("without a directory, a service that runs is named where a network is in the host's namespace", () => {
  const running = () => new Set(["systemd-network", "node"]);
  assert.match(unwarned(snapshot, running).join(), /^systemd-networkd runs on this host/);
  assert.deepEqual(unwarned(emptySnapshot("c"), running), []);
  assert.deepEqual(
    unwarned(snapshot, () => new Set<string>()),
    [],
  );
});
