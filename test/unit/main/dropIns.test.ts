// What networkd and NetworkManager are told about Weft's devices, in files below a directory of the test's own.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type DropInFolders, ownDropIns, removeDropIns, syncDropIns, unwarned } from "../../../src/main/dropIns.ts";
import { DRIVERS, DRIVER_NAMES } from "../../../src/model/driver.ts";
import { type Snapshot, emptySnapshot } from "../../../src/model/resource.ts";

const NETWORKD = "systemd/network/05-weft.network";
const MANAGER = "NetworkManager/conf.d/05-weft.conf";
const DEVICES = ["systemd/network/05-weft-devices.network", "NetworkManager/conf.d/05-weft-devices.conf"] as const;
const snapshot = {
  ...emptySnapshot("c"),
  vrfs: [{ name: "host", spec: { placement: "host" } }],
  networks: [{ name: "mgmt", spec: { bridge: "br-mgmt" } }],
} as unknown as Snapshot;

type Sync = (snapshot: Snapshot | undefined) => readonly string[];

/** `sync` is that of an agent of host h1; `said` has a line for each file that it wrote. */
function inFolder(test: (folders: DropInFolders, sync: Sync, said: string[]) => void): void {
  const top = mkdtempSync(join(tmpdir(), "weft-etc-"));
  const folders = { etc: join(top, "etc"), run: join(top, "run") };
  const said: string[] = [];
  mkdirSync(folders.etc);
  try {
    test(folders, (seen) => syncDropIns(folders, "h1", seen, (message) => said.push(message)), said);
  } finally {
    rmSync(top, { recursive: true });
  }
}

test("a service that has a directory is told once, and again when there is another device", () => {
  inFolder((folders, sync, said) => {
    const { etc } = folders;
    assert.deepEqual(sync(snapshot), []);
    assert.deepEqual([ownDropIns(folders), said], [[], []], "no service, no file");
    for (const folder of ["systemd/network", "NetworkManager/conf.d"])
      mkdirSync(join(etc, folder), { recursive: true });
    assert.deepEqual(sync(undefined), []);
    assert.deepEqual(sync(undefined), []);
    assert.equal(said.length, 2);
    assert.deepEqual(sync(snapshot), []);
    assert.match(
      readFileSync(join(etc, NETWORKD), "utf8"),
      /\[Match\]\nName=wb-\* .* br-mgmt\n\n\[Link\]\nUnmanaged=yes\n$/,
    );
    assert.match(readFileSync(join(etc, MANAGER), "utf8"), /unmanaged-devices\+=interface-name:wb-\*;.*:br-mgmt\n$/);
    assert.deepEqual(ownDropIns(folders), [join(etc, NETWORKD), join(etc, MANAGER)]);
    removeDropIns(ownDropIns(folders));
    assert.ok(!existsSync(join(etc, NETWORKD)));
  });
});

/** Two networks that take a device each, one of them only where it has endpoints, and one on a VLAN of a third. */
const taking = {
  ...emptySnapshot("c"),
  vrfs: [{ name: "host", spec: { placement: "host" } }],
  networks: [
    { name: "office", spec: { driver: "bridge", vrf: "host", parent: "lan", hosts: ["h1"], subnets: [] } },
    { name: "lab", spec: { driver: "bridge", vrf: "host", parent: "dmz", subnets: [] } },
    { name: "voice", spec: { driver: "vlan", vrf: "host", parent: "core", vlan: 5, hosts: ["h1"], subnets: [] } },
  ],
  hosts: [
    {
      name: "h1",
      spec: {
        physical: [
          { name: "lan", device: "eth1" },
          { name: "dmz", device: "eth2" },
          { name: "core", device: "eth3" },
        ],
        devices: ["eth1", "eth2", "eth3"].map((name) => ({ name, mtu: 1500 })),
      },
    },
  ],
} as unknown as Snapshot;
const withEndpoint = {
  ...taking,
  endpoints: [{ name: "a.eth0", spec: { network: "lab", host: "h1", netns: "/run/netns/a" } }],
} as unknown as Snapshot;

test("the host's devices that are ports are named in files that end with a reboot", () => {
  inFolder((folders, sync, said) => {
    mkdirSync(join(folders.etc, "systemd/network"), { recursive: true });
    mkdirSync(join(folders.etc, "NetworkManager/conf.d"), { recursive: true });
    const text = (i: 0 | 1) => readFileSync(join(folders.run, DEVICES[i]), "utf8");
    sync(taking);
    assert.match(text(0), /^# Kept by Weft.*\n\[Match\]\nName=eth1\n\n\[Link\]\nUnmanaged=yes\n$/);
    assert.match(text(1), /\[keyfile\]\nunmanaged-devices\+=interface-name:eth1\n$/);
    sync(withEndpoint);
    assert.match(text(0), /^Name=eth1 eth2$/m);
    sync(undefined);
    assert.match(text(0), /^Name=eth1 eth2$/m, "an agent without a snapshot leaves what there is");
    writeFileSync(join(folders.run, DEVICES[0]), "# Kept by Weft: changes are overwritten (docs/operations.md).\n");
    said.length = 0;
    assert.deepEqual([sync(withEndpoint), said.length], [[], 1], "a change is undone");
    assert.equal(ownDropIns(folders).length, 4);
    sync(emptySnapshot("c"));
    assert.deepEqual(
      DEVICES.map((file) => existsSync(join(folders.run, file))),
      [false, false],
    );
  });
});

test("devices of every driver are named, by what their names begin with", () => {
  inFolder((folders, sync) => {
    mkdirSync(join(folders.etc, "systemd/network"), { recursive: true });
    sync(undefined);
    const [, names = ""] = /^Name=(.*)$/m.exec(readFileSync(join(folders.etc, NETWORKD), "utf8")) ?? [];
    for (const driver of DRIVER_NAMES)
      assert.ok(
        names.split(" ").some((pattern) => pattern.startsWith(DRIVERS[driver].device)),
        driver,
      );
  });
});

test("another's file of the name stays and is told, and so is a directory that refuses", () => {
  inFolder((folders, sync) => {
    const { etc } = folders;
    mkdirSync(join(etc, "systemd/network"), { recursive: true });
    writeFileSync(join(etc, NETWORKD), "[Match]\nName=eth0\n");
    assert.match(sync(snapshot).join(), /05-weft\.network is not Weft's and stays/);
    assert.equal(readFileSync(join(etc, NETWORKD), "utf8"), "[Match]\nName=eth0\n");
    assert.deepEqual(ownDropIns(folders), []);
    mkdirSync(join(etc, "NetworkManager"), { recursive: true });
    writeFileSync(join(etc, "NetworkManager/conf.d"), "");
    assert.match(sync(snapshot).join(), /05-weft\.conf cannot be written .* NetworkManager may change/);
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
