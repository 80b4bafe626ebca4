// Locks: what they block, what they never block, and who takes them off.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LOCKS } from "../../../../src/model/rights.ts";
import { ROOT, callerOf, cluster, give, put, tried } from "./lab.ts";

const lock = (name: string, level?: string, kind = "network") => ({
  verb: "lock",
  kind,
  name,
  ...(level === undefined ? {} : { level }),
});

test("a lock is taken off, or changed, by who set it, by who has admin, and by administrators", async () => {
  const lab = await cluster([[["use", "manage"], ["network"], "blue"]], "uma---um-");
  const { control } = lab;
  const [ann, ben, cat] = ["ann", "ben", "cat"].map(callerOf);
  assert.equal(await tried(control, cat ?? ROOT, lock("blue", "manage")), "done");
  assert.equal((await lab.snapshot()).networks.find(({ name }) => name === "blue")?.lockedBy, "cat");
  assert.equal(await tried(control, ben ?? ROOT, lock("blue")), "forbidden", "who only manages it");
  assert.equal(await tried(control, ben ?? ROOT, lock("blue", "admin")), "forbidden", "less is taking off, too");
  assert.equal(await tried(control, cat ?? ROOT, lock("blue", "use")), "done", "its own");
  assert.equal(await tried(control, ann ?? ROOT, lock("blue")), "done", "admin, as its owner");
  assert.equal(await tried(control, cat ?? ROOT, lock("blue", "all")), "done");
  assert.equal(await tried(control, ROOT, lock("blue")), "done");
  assert.equal(await tried(control, ROOT, lock("blue", "manage")), "done");
  assert.equal(await tried(control, cat ?? ROOT, lock("blue")), "forbidden");
  assert.equal(await tried(control, ann ?? ROOT, lock("blue")), "forbidden", "an administrator's holds for its owner");
  await give(lab, "ben", { kinds: ["network"], name: "blue" }, "use", "manage", "admin");
  assert.equal(await tried(control, ben ?? ROOT, lock("blue")), "done", "whom an ACL rule made its admin");
});

test("the lock of a user that goes is an administrator's, not of a later one of the name", async () => {
  const lab = await cluster([[["use", "manage"], ["network"], "blue"]]);
  assert.equal(await tried(lab.control, callerOf("ann"), lock("blue", "manage")), "done");
  await lab.control.write({ verb: "delete", kind: "user", name: "ann", force: true });
  await lab.control.write(put("user", "ann", { group: "green" }) as never);
  await give(lab, "ann", { kinds: ["network"], name: "blue" }, "use", "manage");
  assert.equal(await tried(lab.control, callerOf("ann"), lock("blue")), "forbidden");
  const { networks } = await lab.snapshot();
  const blue = networks.find(({ name }) => name === "blue");
  assert.deepEqual([blue?.lock, blue?.lockedBy], ["manage", undefined]);
});

test("a lock of an endpoint or of its network never keeps its host from detaching it", async () => {
  for (const level of LOCKS)
    for (const locked of ["network", "endpoint"] as const) {
      const lab = await cluster();
      const host = { role: "host", host: "h1" } as const;
      await lab.control.write(lock(locked === "network" ? "blue" : "web.eth0", level, locked) as never);
      if (locked === "endpoint") {
        const isFree = level === "admin";
        const detach = { verb: "detach", endpoint: "web.eth0", by: ROOT.identity };
        assert.equal(await tried(lab.control, ROOT, detach), isFree ? "done" : "locked", `asked for, ${level}`);
        const force = { ...detach, force: true };
        if (!isFree) assert.equal(await tried(lab.control, ROOT, force), "locked", `by force, ${level}`);
        const patch = { verb: "patch-endpoint", name: "web.eth0", patch: { labels: { a: "b" } } };
        assert.equal(await tried(lab.control, ROOT, patch), isFree ? "done" : "locked", `changed, ${level}`);
        const move = { verb: "migrate", request: { from: "blue", to: "green", workload: undefined } };
        if (!isFree) assert.equal(await tried(lab.control, ROOT, move), "locked", `moved, ${level}`);
      }
      const caller = { ...ROOT, identity: host };
      const by = { verb: "detach", endpoint: "web.eth0", by: host };
      assert.equal(await tried(lab.control, caller, by), "done", `${locked} locked for ${level}`);
      assert.deepEqual((await lab.snapshot()).endpoints, []);
    }
});
