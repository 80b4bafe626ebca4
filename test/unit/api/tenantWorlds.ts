// For tests: two clusters that differ only in what ben has named his things. Of a name that ann asks about, in one it
// is there and not hers to see, in the other nothing is called so.
import assert from "node:assert/strict";
import { openMemoryStore } from "../../../src/store/memory.ts";
import { ADMIN, JOIN, type Reply, claim, open } from "./lab.ts";

/** What ben's things are called in one cluster, which is what ann asks about in both, and in the other. */
export const HIDDEN = "benspriv";
const OTHER = "bensothr";
const KINDS = ["network", "vrf", "pool", "physicalnetwork", "securitygroup", "template"] as const;

export type Question = {
  readonly method: string;
  readonly url: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
};
export type World = {
  readonly name: string;
  readonly control: Awaited<ReturnType<typeof open>>["control"];
  readonly errors: readonly unknown[];
  /** ann's token, and one that is narrowed to what she owns. */
  readonly token: string;
  readonly host: string;
  readonly must: (method: string, url: string, body?: unknown, token?: string) => Promise<Reply>;
  /** As ann. */
  readonly asks: (question: Question, token?: string) => Promise<Reply>;
};

/** `rules`: what else ann may, as ACL rules. */
async function worldOf(name: string, rules: readonly object[] = []): Promise<World> {
  let made = 0;
  const entropy = {
    uid: () => `uid-${++made}`,
    token: () => `weft_token${String(++made).padStart(6, "0")}0123456789abcdef0123456789abcdef`,
  };
  const store = openMemoryStore({ cluster: "same" });
  const { ask, control, errors } = await open([], { entropy }, store);
  const must = async (method: string, url: string, body?: unknown, token: string = ADMIN) => {
    const reply = await ask(method, url, body, { token });
    assert.ok(reply.status < 300, `${method} ${url}: ${reply.text}`);
    return reply;
  };
  const put = (kind: string, each: string, spec: object) => must("PUT", `/v1/${kind}s/${each}`, { spec });
  const give = (path: string, owner: string) => must("POST", `${path}/chown`, { owner });
  for (const group of ["red", name]) await put("usergroup", group, {});
  await put("user", "ann", { group: "red" });
  await put("user", name, { group: name });
  const joined = await must("POST", "/v1/hosts/h1/join", claim(1), JOIN);
  const host = joined.body.certificate as string;
  await must("POST", `/v1/hosts/${name}/join`, claim(2, { hostPrefixes: ["10.99.0.0/24"] }), JOIN);
  await put("hostcluster", name, { hosts: [name] });
  await things({ put, give }, { name, owner: name, octet: 7 });
  await things({ put, give }, { name: "anns", owner: "ann", octet: 8 });
  await put("network", `${name}-b`, { subnets: [{ cidr: "10.9.0.0/24" }], vrf: name });
  await give(`/v1/networks/${name}-b`, name);
  // Networks that everybody may use, and a VRF of ann's with a network of ben's.
  for (const [each, octet] of [
    ["shared", 20],
    ["free", 21],
  ] as const) {
    await put("network", each, { subnets: [{ cidr: `10.${octet}.0.0/24` }] });
    await must("POST", `/v1/networks/${each}/chmod`, { mode: "um----u--" });
  }
  await put("pool", "common", { globalSubnets: [{ cidr: "10.40.<id>.0/24" }] });
  await must("POST", "/v1/pools/common/chmod", { mode: "------u--" });
  await put("network", `${name}-p`, { pool: { name: "common", id: 3 } });
  await put("network", "mixed", { subnets: [{ cidr: "10.30.0.0/24" }] });
  for (const kind of ["networks", "vrfs"]) await give(`/v1/${kind}/mixed`, "ann");
  await put("network", `${name}-m`, { subnets: [{ cidr: "10.31.0.0/24" }], vrf: "mixed" });
  for (const each of [`${name}-p`, `${name}-m`]) await give(`/v1/networks/${each}`, name);
  await endpoints({ must, give, host }, name);
  await put("aclrule", name, { subject: { user: name }, resource: { kinds: ["network"], name }, rights: ["use"] });
  for (const [i, rule] of rules.entries()) await put("aclrule", `more-${i}`, rule);
  const token = (await must("POST", "/v1/tokens", { name: "test", user: "ann" })).body.token as string;
  await must("POST", "/v1/tokens", { name: "secret", user: name });
  // What ben was refused, and what the administrator was, is in the audit log.
  await ask("DELETE", `/v1/networks/${name}`);
  return {
    name,
    control,
    errors,
    token,
    host,
    must,
    asks({ method, url, body, headers }, as = token) {
      // What a refused write has drawn would show in the next.
      made = (control.revision + 1) * 1000;
      return ask(method, url, body, { token: as, ...(headers === undefined ? {} : { headers }) });
    },
  };
}

type Hand = {
  readonly put: (kind: string, name: string, spec: object) => Promise<Reply>;
  readonly give: (path: string, owner: string) => Promise<Reply>;
};

/** One of each kind that is owned. */
async function things(
  { put, give }: Hand,
  { name, owner, octet }: { readonly name: string; readonly owner: string; readonly octet: number },
): Promise<void> {
  await put("securitygroup", name, { rules: [] });
  await put("network", name, { subnets: [{ cidr: `10.${octet}.0.0/24` }], securityGroups: [name] });
  await put("pool", name, { globalSubnets: [{ cidr: `10.${octet + 50}.<id>.0/24` }] });
  await put("physicalnetwork", name, {});
  await put("template", name, { network: { subnets: [{ cidr: `10.${octet + 60}.0.0/24` }] } });
  for (const kind of KINDS) await give(`/v1/${kind}s/${name}`, owner);
}

/** Of ben in his network and in shared ones, of ann in hers; what they hold, reserved and gave back. */
async function endpoints(
  { must, give, host }: Pick<World, "must" | "host"> & Pick<Hand, "give">,
  name: string,
): Promise<void> {
  const attach = async (owner: string, network: string, user: string, more: object = {}) => {
    const wanted = { network, host: "h1", owner, ifname: "eth0", netns: `/run/netns/${owner}`, ...more };
    const { body } = await must("POST", "/v1/endpoints", wanted, host);
    await give(`/v1/endpoints/${body.name}`, user);
    return body.name as string;
  };
  await attach(name, name, name, { workload: name });
  await attach(`${name}-s`, "shared", name, { addresses: ["10.20.0.10"], mac: "02:00:00:00:00:10" });
  const gone = await attach(`${name}-g`, "shared", name, { addresses: ["10.20.0.11"] });
  await must("DELETE", `/v1/endpoints/${gone}`, undefined, host);
  await must("POST", "/v1/holds", { network: "shared", first: "10.20.0.20", reason: name, owner: name });
  await must("POST", "/v1/holds", { network: name, first: "10.7.0.20", reason: name, owner: name });
  await must("POST", "/v1/networks/shared/reservations", {
    name: `${name}-r`,
    size: 4,
    first: "10.20.0.32",
    tenant: name,
  });
  await give(`/v1/networks/${name}-r`, name);
  await must("POST", "/v1/memberships", { network: `${name}-b`, workload: name });
  await must("POST", "/v1/migrations", { from: name, to: `${name}-b`, workload: name });
  await attach("annweb", "anns", "ann", { workload: "annw" });
  await attach("annapp", "shared", "ann");
  await must("PATCH", `/v1/endpoints/${name}-s.eth0`, { securityGroups: ["anns"] });
}

/** The two clusters. */
export async function worlds(rules: readonly object[] = []): Promise<readonly [World, World]> {
  return [await worldOf(HIDDEN, rules), await worldOf(OTHER, rules)];
}
