// What one user may learn of another by asking: nothing. In two clusters that differ only in the names of ben's things,
// ann's questions about one of these names have the same answers, to the byte: of what she may not see, as if it were
// not there, and of what is in her way, not whose it is.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { pluralOf } from "../../../src/model/kind.ts";
import { ALL_KINDS } from "../../../src/model/kinds.ts";
import { type Reply, closeAll } from "./lab.ts";
import { CLAIMS, ROWS, type Row } from "./tenantRows.ts";
import { HIDDEN, type Question, type World, worlds } from "./tenantWorlds.ts";

after(closeAll);

const KINDS = new Set(ALL_KINDS.map(pluralOf));
const SHARED = /^\/v1\/(\w+)((?:\/\{name\}(?:\/(?:chown|chmod|lock|unlock))?)?)$/;

/** The rows of a route, by what it is called in the table. */
function rowsOf(method: string, path: string): readonly Row[] | undefined {
  const own = ROWS[`${method} ${path}`];
  const [, kind = "", rest = ""] = SHARED.exec(path) ?? [];
  return own === undefined && KINDS.has(kind) ? ROWS[`${method} /v1/{kind}${rest}`]?.(kind) : own?.(kind);
}

function questionOf(method: string, path: string, { name = HIDDEN, query = "", ...rest }: Row): Question {
  return { method, url: path.replace("{name}", name) + query, ...rest };
}

/** That a name is in use is told to who would make something of it, and nothing more. */
function isTaken({ isNew }: Row, { body }: Reply): boolean {
  return isNew === true && body?.reason === "name-taken" && /^there is an? .* already$/.test(body.what);
}

const shownOf = ({ status, headers, text }: Reply) => {
  const { date: _, ...rest } = headers;
  // A record's hash is of all before it, and says nothing of them.
  return { status, headers: { ...rest, "content-length": "" }, text: text.replaceAll(/"hash":"\w+"/g, "") };
};

/** Every question of the table to both; returns how often each route answered by what. */
async function compare(pair: readonly [World, World], reopen: () => Promise<readonly [World, World]>) {
  let [there, absent] = pair;
  const { paths } = (await there.asks({ method: "GET", url: "/openapi.json" })).body as {
    paths: Record<string, Record<string, unknown>>;
  };
  const faults: string[] = [];
  let asked = 0;
  for (const [path, methods] of Object.entries(paths))
    for (const method of Object.keys(methods).map((each) => each.toUpperCase())) {
      const rows = rowsOf(method, path);
      if (rows === undefined) faults.push(`${method} ${path} has no row`);
      const reasons = new Set<string>();
      for (const row of rows ?? []) {
        asked++;
        const question = questionOf(method, path, row);
        const [a, b] = [await there.asks(question), await absent.asks(question)];
        reasons.add(String(a.body?.reason));
        const at = [method, question.url, JSON.stringify(question.body), JSON.stringify(row.headers)].join(" ");
        const isSame = JSON.stringify(shownOf(a)) === JSON.stringify(shownOf(b));
        if (!isSame && !isTaken(row, a))
          faults.push(`${at}\n    there ${a.text.slice(0, 600)}\n    not   ${b.text.slice(0, 600)}`);
        if (a.status === 500) faults.push(`${at}: ${a.text} ${String(there.errors.at(-1))}`);
        if (there.control.revision !== absent.control.revision) [there, absent] = await reopen();
      }
      if (reasons.size === 1 && reasons.has("request-invalid")) faults.push(`${method} ${path}: no row is valid`);
    }
  return { faults, asked };
}

const CREATES = [
  {
    subject: { user: "ann" },
    resource: {
      kinds: ["network", "vrf", "pool", "physicalnetwork", "template", "hostcluster", "user", "usergroup", "aclrule"],
      all: true,
    },
    rights: ["create"],
  },
];

for (const [who, rules] of [
  ["a user with what it owns", []],
  ["one who may create everything", CREATES],
] as const)
  test(`${who}: every route answers of another's thing as of nothing`, async () => {
    const { faults, asked } = await compare(await worlds(rules), () => worlds(rules));
    assert.ok(asked > 500, String(asked));
    assert.equal(faults.length, 0, `${faults.length} of ${asked}:\n${faults.join("\n")}`);
  });

test("an interface that a host makes for a user is refused of another's thing as of nothing", async () => {
  let [there, absent] = await worlds();
  const faults: string[] = [];
  for (const row of CLAIMS)
    for (const url of ["/v1/endpoints", "/v1/endpoint-sets"]) {
      const claim = { ...(row.body as object), userToken: there.token };
      const body = url === "/v1/endpoints" ? claim : { endpoints: [claim] };
      const question = { method: "POST", url, body };
      const [a, b] = [await there.asks(question, there.host), await absent.asks(question, absent.host)];
      const isSame = JSON.stringify(shownOf(a)) === JSON.stringify(shownOf(b));
      const at = `${url} ${JSON.stringify(row.body)}`;
      if (!isSame && !isTaken(row, a)) faults.push(`${at}\n    there ${a.text}\n    not   ${b.text}`);
      if (a.status === 500) faults.push(`${at}: ${String(there.errors.at(-1))}`);
      if (a.status < 300 || b.status < 300) [there, absent] = await worlds();
    }
  assert.equal(faults.length, 0, faults.join("\n"));
});

test("a watch brings the same, whatever is done with what is another's", async () => {
  const [there, absent] = await worlds();
  const heard = await Promise.all(
    [there, absent].map(async ({ control, name, must, host }) => {
      const stop = new AbortController();
      const sets: unknown[] = [];
      const watching = (async () => {
        for await (const set of control.watch(control.revision, { role: "user", user: "ann" }, stop.signal)) {
          sets.push(set);
          if (JSON.stringify(set).includes("the last")) stop.abort();
        }
      })();
      const subnets = [{ cidr: "10.7.0.0/24" }];
      await must("PUT", `/v1/networks/${name}`, { spec: { subnets, securityGroups: [name], description: "more" } });
      await must("POST", `/v1/networks/${name}/chmod`, { mode: "uma------" });
      await must("DELETE", `/v1/endpoints/${name}-s.eth0`, undefined, host);
      await must("DELETE", `/v1/holds?network=shared&first=10.20.0.20`);
      await must("PUT", `/v1/users/${name}`, { spec: { group: name, description: "more" } });
      await must("DELETE", `/v1/networks/${name}-m?force=true`);
      await must("PUT", "/v1/networks/mixed", {
        spec: { subnets: [{ cidr: "10.30.0.0/24" }], description: "the last" },
      });
      await watching;
      return sets;
    }),
  );
  assert.deepEqual(heard[0], heard[1]);
  assert.ok(JSON.stringify(heard[0]).includes("the last"));
  assert.ok(!JSON.stringify(heard[0]).includes(HIDDEN));
});
