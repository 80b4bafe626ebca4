// Files of Weft's follow the networks; files of other programs stay.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { Network } from "../../../../src/model/resource.ts";
import { syncFiles } from "../../../../src/doors/cni/files.ts";

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "weft-cni-"));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

const placeOf = (directory: string) => ({ directory, socket: "/run/weft/agent.sock" });

function network(name: string): Network {
  const spec = { driver: "vxlan", ipam: "local", vrf: name, subnets: [], masquerade: true, enabled: true } as const;
  return { kind: "network", name, uid: name, revision: 1, spec };
}

test("a file per network, complete and readable for runtimes; gone with the network", (t) => {
  const directory = join(directoryOf(t), "net.d");
  assert.deepEqual(syncFiles(placeOf(directory), [network("blue"), network("green")], true), []);
  assert.deepEqual(readdirSync(directory), ["weft-blue.conflist", "weft-green.conflist"]);
  const list = JSON.parse(readFileSync(join(directory, "weft-blue.conflist"), "utf8"));
  assert.equal(list.name, "blue");
  assert.deepEqual(list.plugins, [
    { type: "weft", network: "blue", capabilities: { ips: true, mac: true, dns: true, bandwidth: true } },
  ]);
  assert.deepEqual(syncFiles(placeOf(directory), [network("green")], true), []);
  assert.deepEqual(readdirSync(directory), ["weft-green.conflist"]);
});

test("nothing is removed while more networks may be there than are known", (t) => {
  const directory = directoryOf(t);
  syncFiles(placeOf(directory), [network("blue")], true);
  syncFiles(placeOf(directory), [], false);
  assert.deepEqual(readdirSync(directory), ["weft-blue.conflist"]);
});

test("what somebody changed in a file of ours is overwritten, what is not ours never touched", (t) => {
  const directory = directoryOf(t);
  syncFiles(placeOf(directory), [network("blue")], true);
  const path = join(directory, "weft-blue.conflist");
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace("1.0.0", "0.4.0"));
  syncFiles(placeOf(directory), [network("blue")], true);
  assert.equal(readFileSync(path, "utf8"), text);
  const theirs = { "10-mine.conflist": "{}", "weft-red.conflist": '{"name":"mine"}', "weft-old.conflist": "not JSON" };
  for (const [file, content] of Object.entries(theirs)) writeFileSync(join(directory, file), content);
  assert.match(syncFiles(placeOf(directory), [network("red")], true).join(), /weft-red.conflist is another program's/);
  for (const [file, content] of Object.entries(theirs))
    assert.equal(readFileSync(join(directory, file), "utf8"), content);
  assert.deepEqual(readdirSync(directory).toSorted(), Object.keys(theirs).toSorted());
});

test("a directory that cannot be written is a problem that is told, not a crash", (t) => {
  const file = join(directoryOf(t), "file");
  writeFileSync(file, "");
  assert.match(syncFiles(placeOf(join(file, "net.d")), [network("blue")], true).join(), /net.d: ENOTDIR/);
});

test("an agent on another socket is found by its own files", (t) => {
  const directory = directoryOf(t);
  syncFiles({ directory, socket: "/run/weft/other.sock" }, [network("blue")], true);
  const { plugins } = JSON.parse(readFileSync(join(directory, "weft-blue.conflist"), "utf8"));
  assert.equal(plugins[0].socket, "/run/weft/other.sock");
});

test("a file that is as it should be is not written again", (t) => {
  const directory = directoryOf(t);
  const inode = () => statSync(join(directory, "weft-blue.conflist")).ino;
  syncFiles(placeOf(directory), [network("blue")], true);
  const before = inode();
  assert.deepEqual(syncFiles(placeOf(directory), [network("blue")], true), []);
  assert.equal(inode(), before);
  syncFiles({ directory, socket: "/run/weft/other.sock" }, [network("blue")], true);
  assert.notEqual(inode(), before, "another file takes its place");
  assert.equal(statSync(join(directory, "weft-blue.conflist")).mode & 0o777, 0o644);
});
