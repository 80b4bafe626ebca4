// Who may what: every route with every kind of credential, against a table that people can read. The routes come from
// the server itself, so that one that is new, or opened to others, is in the way until somebody has written its row.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { dcosRoutes } from "../../../src/ancestors/dcos/routes.ts";
import { REASONS } from "../../../src/model/fault.ts";
import { credentialOfKey } from "../../../src/control/hosts/credentials.ts";
import { csrOf } from "./certificates.ts";
import { ADMIN, JOIN, blue, claim, closeAll, isProblem, open, report, until, web } from "./lab.ts";

after(closeAll);

/** Who is let in: a host that asks about what is its own, one that asks about another's, an administrator. */
const TABLE = `
GET /livez                              everybody
GET /readyz                             everybody
GET /metrics                            admin
GET /openapi.json                       join own other admin
GET /v1/version                         join own other admin
GET /v1/snapshot                        own other admin
GET /v1/watch                           own other admin
GET /v1/status                          own other admin
GET /v1/vrfs                            own other admin
GET /v1/vrfs/{name}                     own other admin
PUT /v1/vrfs/{name}                     admin
DELETE /v1/vrfs/{name}                  admin
GET /v1/networks                        own other admin
GET /v1/networks/{name}                 own other admin
PUT /v1/networks/{name}                 admin
DELETE /v1/networks/{name}              admin
GET /v1/networks/{name}/map             admin
GET /v1/networks/{name}/progress        own other admin
POST /v1/networks/{name}/retry          admin
POST /v1/networks/select                admin
POST /v1/networks/{name}/reservations   admin
GET /v1/hosts                           own other admin
GET /v1/hosts/{name}                    own other admin
DELETE /v1/hosts/{name}                 admin
POST /v1/hosts/{name}/join              own
POST /v1/hosts/{name}/reclaim           admin
POST /v1/hosts/{name}/accept-history    admin
POST /v1/hosts/{name}/drain             admin
POST /v1/hosts/{name}/set               admin
POST /v1/hosts/{name}/resume            admin
PUT /v1/hosts/{name}/report             own admin
POST /v1/hosts/{name}/inventory         own admin
GET /v1/jointokens                      admin
POST /v1/jointokens                     admin
DELETE /v1/jointokens/{name}            admin
GET /v1/ca                              admin
POST /v1/ca/rotate                      admin
POST /v1/ca/drop                        admin
GET /v1/blocks                          own other admin
GET /v1/blocks/{name}                   own other admin
GET /v1/vteps                           own other admin
GET /v1/vteps/{name}                    own other admin
GET /v1/endpoints                       own other admin
GET /v1/endpoints/{name}                own other admin
POST /v1/endpoints                      own admin
PATCH /v1/endpoints/{name}              admin
DELETE /v1/endpoints/{name}             own admin
POST /v1/endpoint-sets                  own admin
POST /v1/claims                         own admin
GET /v1/pools                           own other admin
GET /v1/pools/{name}                    own other admin
PUT /v1/pools/{name}                    admin
DELETE /v1/pools/{name}                 admin
GET /v1/physicalnetworks                own other admin
GET /v1/physicalnetworks/{name}         own other admin
PUT /v1/physicalnetworks/{name}         admin
DELETE /v1/physicalnetworks/{name}      admin
GET /v1/hostclusters                    own other admin
GET /v1/hostclusters/{name}             own other admin
PUT /v1/hostclusters/{name}             admin
DELETE /v1/hostclusters/{name}          admin
GET /v1/memberships                     own other admin
GET /v1/memberships/{name}              own other admin
POST /v1/memberships                    admin
DELETE /v1/memberships/{name}           admin
GET /v1/migrations                      own other admin
GET /v1/migrations/{name}               own other admin
POST /v1/migrations                     admin
DELETE /v1/migrations/{name}            admin
GET /v1/conversions                     own other admin
GET /v1/conversions/{name}              own other admin
DELETE /v1/conversions/{name}           admin
GET /v1/moves                           own other admin
GET /v1/moves/{name}                    own other admin
PUT /v1/moves/{name}                    own admin
GET /v1/holds                           own other admin
GET /v1/holds/{name}                    own other admin
POST /v1/holds                          admin
DELETE /v1/holds                        admin
GET /v1/freed                           own other admin
GET /v1/freed/{name}                    own other admin
GET /v1/cursors                         own other admin
GET /v1/cursors/{name}                  own other admin
GET /v1/securitygroups                  own other admin
GET /v1/securitygroups/{name}           own other admin
PUT /v1/securitygroups/{name}           admin
POST /v1/securitygroups/{name}/commit   admin
DELETE /v1/securitygroups/{name}        admin
POST /v1/vrfs/{name}/chown              admin
POST /v1/vrfs/{name}/chmod              admin
POST /v1/vrfs/{name}/lock               admin
POST /v1/vrfs/{name}/unlock             admin
POST /v1/templates/{name}/chown         admin
POST /v1/templates/{name}/chmod         admin
POST /v1/templates/{name}/lock          admin
POST /v1/templates/{name}/unlock        admin
POST /v1/networks/{name}/chown          admin
POST /v1/networks/{name}/chmod          admin
POST /v1/networks/{name}/lock           admin
POST /v1/networks/{name}/unlock         admin
POST /v1/endpoints/{name}/chown         admin
POST /v1/endpoints/{name}/chmod         admin
POST /v1/endpoints/{name}/lock          admin
POST /v1/endpoints/{name}/unlock        admin
POST /v1/pools/{name}/chown             admin
POST /v1/pools/{name}/chmod             admin
POST /v1/pools/{name}/lock              admin
POST /v1/pools/{name}/unlock            admin
POST /v1/securitygroups/{name}/chown    admin
POST /v1/securitygroups/{name}/chmod    admin
POST /v1/securitygroups/{name}/lock     admin
POST /v1/securitygroups/{name}/unlock   admin
POST /v1/physicalnetworks/{name}/chown  admin
POST /v1/physicalnetworks/{name}/chmod  admin
POST /v1/physicalnetworks/{name}/lock   admin
POST /v1/physicalnetworks/{name}/unlock admin
GET /v1/users                           own other admin
GET /v1/users/{name}                    own other admin
PUT /v1/users/{name}                    admin
DELETE /v1/users/{name}                 admin
GET /v1/usergroups                      own other admin
GET /v1/usergroups/{name}               own other admin
PUT /v1/usergroups/{name}               admin
DELETE /v1/usergroups/{name}            admin
GET /v1/aclrules                        own other admin
GET /v1/aclrules/{name}                 own other admin
PUT /v1/aclrules/{name}                 admin
DELETE /v1/aclrules/{name}              admin
GET /v1/templates                       own other admin
GET /v1/templates/{name}                own other admin
PUT /v1/templates/{name}                admin
DELETE /v1/templates/{name}             admin
POST /v1/templates/{name}/clone         admin
POST /v1/templates/{name}/instantiate   admin
POST /v1/templates/{name}/rename        admin
GET /v1/leases/history                  admin
GET /v1/audit                           admin
GET /v1/audit/{name}                    admin
GET /v1/audit/verify                    admin
GET /v1/quotas                          admin
POST /v1/apply                          admin
POST /v1/ipam/check                     admin
POST /v1/hosts/preflight                admin
POST /v1/login                          everybody
DELETE /v1/login                        join own other admin
POST /v1/login/oidc                     everybody
POST /v1/login/oidc/finish              everybody
POST /v1/login/device                   everybody
POST /v1/login/device/finish            everybody
GET /v1/whoami                          join own other admin
GET /v1/tokens                          admin
POST /v1/tokens                         admin
DELETE /v1/tokens/{name}                admin
PUT /v1/users/{name}/password           admin
GET /overlay-master/state               admin
GET /mesos/overlay-master/state         admin
POST /overlay-master/agents/delete      admin
POST /mesos/overlay-master/agents/delete admin
`;

const CREDENTIALS = ["nobody", "wrong", "deleted", "reclaimed", "join", "own", "other", "admin"] as const;
type Credential = (typeof CREDENTIALS)[number];

/** A server with hosts that are there (h1, h2) and that are not (h3, h4), and something of each kind that is h1's. */
async function cluster() {
  const api = await open(dcosRoutes);
  const { ask, app, control } = api;
  for (const name of ["blue", "green"]) await ask("PUT", `/v1/networks/${name}`, subnetOf(name));
  await ask("PUT", "/v1/securitygroups/web", { spec: { rules: [] } });
  const tokens: string[] = [];
  for (const n of [1, 2, 3, 4])
    tokens.push((await ask("POST", `/v1/hosts/h${n}/join`, claim(n), { token: JOIN })).body.certificate);
  const [own, other, deleted, reclaimed] = tokens;
  await ask("DELETE", "/v1/hosts/h3");
  await ask("POST", "/v1/hosts/h4/reclaim?force=true");
  for (const host of ["h1", "h2"]) await ask("POST", "/v1/endpoints", { ...web, host, owner: host });
  const migrated = await ask("POST", "/v1/migrations", { from: "blue", to: "green", endpoint: "h1.eth0" });
  const move: string = migrated.body.moves[0].name;
  const token: Record<Credential, string | undefined> = {
    nobody: "",
    wrong: "guess-0123456789abcdef0123456789abcdef",
    deleted,
    reclaimed,
    join: JOIN,
    own,
    other,
    admin: ADMIN,
  };
  return { app, ask, control, move, token };
}

const subnetOf = (name: string) => (name === "blue" ? blue : { spec: { subnets: [{ cidr: "10.8.0.0/24" }] } });

/** What of h1's is asked about: a request that would do something if it were let in. */
function requestOf(route: string, move: string): readonly [method: string, url: string, body: unknown] {
  const [method = "", path = ""] = route.split(" ");
  const kind = path.split("/")[2] ?? "";
  const names: Readonly<Record<string, string>> = {
    hosts: "h1",
    networks: "blue",
    endpoints: "h1.eth0",
    moves: move,
    securitygroups: "web",
    // Not the one that the test joins with.
    jointokens: "other",
  };
  const url =
    path.replace("{name}", names[kind] ?? "default") + (method === "DELETE" && kind !== "holds" ? "?force=true" : "");
  const more = { ...web, owner: "more", ifname: "eth1" };
  const bodies: Readonly<Record<string, unknown>> = {
    "POST /v1/hosts/{name}/join": claim(1),
    "PUT /v1/hosts/{name}/report": report,
    "POST /v1/endpoints": more,
    "POST /v1/endpoint-sets": { endpoints: [more] },
    "PUT /v1/moves/{name}": { state: "joined" },
    "PUT /v1/networks/{name}": blue,
    "PUT /v1/vrfs/{name}": { spec: {} },
    "POST /v1/apply": { resources: [] },
    "POST /v1/ipam/check": {},
    "POST /v1/hosts/preflight": {},
  };
  return [method, url, bodies[route]];
}

type Api = Awaited<ReturnType<typeof cluster>>;

/** Whether the credential is let in; one that is not changes nothing. */
async function isLetIn({ ask, control, move, token }: Api, route: string, who: Credential): Promise<boolean> {
  const [method, url, body] = requestOf(route, move);
  const line = `${JSON.stringify({ id: 1, claim: { ...web, owner: "more", ifname: "eth1" } })}\n`;
  const before = control.revision;
  const isLine = route === "POST /v1/claims";
  const reply = await ask(method, url, body, { token: token[who], ...(isLine ? { raw: line } : {}) });
  const reason = /"reason":"([\w-]+)"/.exec(reply.text)?.[1] as keyof typeof REASONS | undefined;
  const isRefused = reason !== undefined && ([401, 403].includes(REASONS[reason].status) || reason === "host-claimed");
  if (isRefused) assert.equal(control.revision, before, `${route} by ${who} changed something`);
  else assert.notEqual(reply.status, 500, `${route} by ${who}: ${reply.text}`);
  return !isRefused;
}

test("every route lets in whom the table says, and has a row", async () => {
  const rows = new Map(
    TABLE.trim()
      .split("\n")
      .map((row) => {
        const [, route = "", who = ""] = /^(\S+ \S+) +(.*)$/.exec(row) ?? [];
        return [route, who] as const;
      }),
  );
  const { ask } = await cluster();
  const paths = (await ask("GET", "/openapi.json")).body.paths as Record<string, Record<string, unknown>>;
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(routes.toSorted(), [...rows.keys()].toSorted(), "routes, and rows of the table");
  for (const route of routes) {
    let api = await cluster();
    const letIn: Credential[] = [];
    for (const who of CREDENTIALS) {
      const { revision } = api.control;
      if (await isLetIn(api, route, who)) letIn.push(who);
      // The next one finds what this one found.
      if (api.control.revision !== revision) api = await cluster();
    }
    const row = rows.get(route);
    const expected = row === "everybody" ? CREDENTIALS.join(" ") : row;
    assert.equal(letIn.join(" "), expected, `${route} lets in`);
  }
});

test("a name is claimed with a right to join, and kept with its own token alone", async () => {
  const { ask, token, control } = await cluster();
  const join = async (host: string, who: Credential, proposed?: string) => {
    const body = { ...claim(host === "h9" ? 9 : 1), ...(proposed === undefined ? {} : { csr: csrOf(host, proposed) }) };
    return (await ask("POST", `/v1/hosts/${host}/join`, body, { token: token[who] })).body?.reason ?? "joined";
  };
  for (const who of ["nobody", "wrong", "deleted", "reclaimed", "own", "other"] as const)
    assert.notEqual(await join("h9", who), "joined", `${who} takes a name`);
  for (const who of ["nobody", "wrong", "deleted", "reclaimed", "join", "other", "admin"] as const)
    assert.notEqual(await join("h1", who), "joined", `${who} takes h1's name`);
  for (const whose of ["own", "other"] as const)
    assert.equal(await join("h9", "join", keyOf(token[whose])), "token-taken", `proposes ${whose}'s`);
  assert.equal(await join("h1", "own"), "joined");
  assert.equal(await join("h9", "join"), "joined");
  assert.deepEqual(control.identify(credentialOfKey(keyOf(token.own))), { role: "host", host: "h1" });
});

test("a host gets a certificate of its own name only, and none is let in by its key's name alone", async () => {
  const { ask, token } = await cluster();
  const recorded = async (): Promise<string[]> => {
    const { body } = await ask("GET", "/v1/audit?order=oldest&verb=issue-certificate", undefined, { token: ADMIN });
    return body.items.map(({ who, object }: Record<string, string>) => `${who} ${object}`);
  };
  const before = await recorded();
  const joins = (csr: string | undefined, who: Credential = "own") =>
    ask("POST", "/v1/hosts/h1/join", { ...claim(1), ...(csr === undefined ? {} : { csr }) }, { token: token[who] });
  isProblem(await joins(csrOf("h2", keyOf(token.own))), "forbidden", /asks for a certificate of host "h2"/);
  isProblem(await joins("nonsense"), "request-invalid", /not a request|expected/);
  isProblem(await joins(csrOf("h1", "another-key")), "request-invalid", /another key/);
  const next = await joins(csrOf("h1", keyOf(token.own)));
  assert.equal(next.body.certificate, token.own);
  assert.deepEqual(before.slice(0, 1), ["join host/h1"]);
  assert.deepEqual((await recorded()).slice(before.length), ["host/h1 host/h1"], "also a renewal is recorded");
  // Bytes after the scheme that a header can carry are no key.
  for (const guess of [
    keyOf(token.own),
    `key-${keyOf(token.own)}`,
    encodeURIComponent(credentialOfKey(keyOf(token.own))),
  ])
    isProblem(await ask("GET", "/v1/snapshot", undefined, { token: guess }), "token-wrong", /does not know/);
  // The certificate of one host with the key of another.
  const mixed = `cert-h2.${keyOf(token.own)}`;
  isProblem(await ask("GET", "/v1/snapshot", undefined, { token: mixed }), "certificate-refused", /another host/);
});

const keyOf = (certificate: string | undefined) => certificate?.split(".")[1] ?? assert.fail();

test("a host sees its own endpoints and moves, no other's, and nothing that is for administrators", async () => {
  const { ask, token, move } = await cluster();
  const seen = async (url: string, who: Credential) => (await ask("GET", url, undefined, { token: token[who] })).body;
  const names = async (kind: string, who: Credential) =>
    ((await seen(`/v1/${kind}`, who)).items as { name: string }[]).map(({ name }) => name);
  assert.deepEqual(await names("moves", "own"), [move]);
  assert.deepEqual(await names("moves", "other"), []);
  assert.equal((await seen(`/v1/moves/${move}`, "other")).reason, "not-found");
  const never = "aclRules cursors freed holds hostClusters migrations pools templates userGroups users".split(" ");
  const { schemas } = (await seen("/openapi.json", "own")).components;
  const lists = Object.entries(schemas.Snapshot.properties as Record<string, { description?: string }>);
  const saidSo = lists.filter(([, { description = "" }]) => description.startsWith("For administrators"));
  assert.deepEqual(saidSo.map(([list]) => list).toSorted(), never, "the document says the same of a snapshot's lists");
  for (const who of ["own", "other"] as const) {
    for (const kind of never) assert.deepEqual(await names(kind.toLowerCase(), who), []);
    const all = (await seen("/v1/snapshot", who)) as { migrations: unknown[]; moves: { name: string }[] };
    assert.deepEqual([all.migrations, all.moves.length], [[], who === "own" ? 1 : 0]);
  }
});

/** How a host loses its right, and what it is told after that. */
const ENDS: readonly (readonly [string, (api: Api) => Promise<unknown>, RegExp])[] = [
  ["is deleted", ({ ask }) => ask("DELETE", "/v1/hosts/h1?force=true"), /^host-deleted$/],
  ["is reclaimed", ({ ask }) => ask("POST", "/v1/hosts/h1/reclaim?force=true"), /^host-reclaimed$/],
  [
    "is deleted and joins anew",
    async ({ ask }) => {
      await ask("DELETE", "/v1/hosts/h1?force=true");
      assert.equal((await ask("POST", "/v1/hosts/h1/join", claim(1), { token: JOIN })).status, 200);
    },
    /^host-deleted$/,
  ],
];

for (const [how, act, told] of ENDS) {
  test(`a host that ${how}: its line takes no claim, its watch ends, its token is worth nothing`, async () => {
    const api = await cluster();
    const { app, ask, control, token } = api;
    await app.listen({ port: 0, host: "127.0.0.1" });
    const own = token.own ?? assert.fail();
    const line = await opened(app, own, "POST", "/v1/claims");
    const watch = await opened(app, own, "GET", `/v1/watch?from=${control.revision}`);
    const claims = (id: number) => line.say({ id, claim: { ...web, owner: `w${id}`, ifname: "eth0" } });
    claims(1);
    await until("a claim is kept while it has the right", () => line.heard.some((said) => said["kept"] === true));
    await act(api);
    claims(2);
    await until("the line answers", () => line.heard.some((said) => said["id"] === 2));
    const answer = line.heard.find((said) => said["id"] === 2);
    assert.match((answer?.["problem"] as { reason: string } | undefined)?.reason ?? "granted", told);
    await until("the watch ends", () => watch.isEnded());
    assert.match((await ask("GET", "/v1/snapshot", undefined, { token: own })).body.reason, told);
    const { items } = (await ask("GET", "/v1/endpoints")).body as { items: { name: string }[] };
    assert.deepEqual(
      items.map(({ name }) => name),
      ["h2.eth0"],
    );
  });
}

/** A request that goes on, with the lines that are answered. */
async function opened(app: Api["app"], token: string, method: "GET" | "POST", path: string) {
  const { port } = app.server.address() as AddressInfo;
  const headers = { authorization: `Bearer ${token}`, "transfer-encoding": "chunked" };
  const asking = request({ host: "127.0.0.1", port, path, method, agent: false, headers });
  asking.on("error", () => undefined);
  if (method === "GET") asking.end();
  else asking.flushHeaders();
  const [response] = (await once(asking, "response", { signal: AbortSignal.timeout(10_000) })) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  const heard: Record<string, unknown>[] = [];
  let rest = "";
  let isEnded = false;
  response.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    heard.push(...lines.map((one) => JSON.parse(one) as Record<string, unknown>));
  });
  response.on("close", () => (isEnded = true));
  return { heard, isEnded: () => isEnded, say: (value: object) => asking.write(`${JSON.stringify(value)}\n`) };
}
