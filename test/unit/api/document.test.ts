// What the document promises, against tables that people can read: what each route takes and answers, the fields of
// answers, and what is said of a resource that is not there.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import Schema from "typebox/schema";
import { ADMIN, closeAll, isProblem, open } from "./lab.ts";
import { SCHEMAS, type SchemaName } from "../../../src/api/schemas.ts";

after(closeAll);

/** Query parameters with `?`, headers, the body; then what is answered. Lists and single resources are in KINDS. */
const ROUTES = `
GET /livez => 200 text/plain
GET /metrics => 200 text/plain
GET /openapi.json => 200 application/json
GET /readyz => 200 text/plain
POST /v1/apply ApplyRequest => 200 Applied
GET /v1/audit ?user ?kind ?name ?verb ?result ?since ?until ?revision ?order ?full ?cursor ?limit => 200 AuditPage
GET /v1/audit/{name} => 200 AuditRecord
GET /v1/audit/verify ?seq ?hash => 200 AuditVerdict
GET /v1/jointokens => 200 JoinTokens
POST /v1/jointokens JoinTokenRequest => 201 JoinTokenMade
DELETE /v1/jointokens/{name} => 200 Done
GET /v1/ca => 200 Ca
POST /v1/ca/drop ?force => 200 Ca
POST /v1/ca/rotate => 200 Ca
POST /v1/claims => 200 application/x-ndjson
POST /v1/endpoint-sets EndpointClaims => 200 Applied
POST /v1/endpoints EndpointClaim => 200 Attached, 201 Endpoint
DELETE /v1/endpoints/{name} ?force If-Match => 200 Done
PATCH /v1/endpoints/{name} If-Match EndpointPatch => 200 Endpoint
DELETE /v1/holds ?network ?first ?last => 200 Done
POST /v1/holds HoldRequest => 201 Hold
DELETE /v1/hosts/{name} ?force If-Match => 200 Done
POST /v1/hosts/{name}/accept-history => 200 Done
POST /v1/hosts/{name}/drain If-Match => 200 Host
POST /v1/hosts/{name}/inventory InventoryAnswer => 200 Done
POST /v1/hosts/{name}/join JoinRequest => 200 Joined
POST /v1/hosts/{name}/reclaim ?force ?dryRun => 200 Applied
PUT /v1/hosts/{name}/report HostReport => 200 Heard
POST /v1/hosts/preflight PreflightRequest => 200 PreflightReport
POST /v1/hosts/{name}/resume If-Match => 200 Host
POST /v1/hosts/{name}/set ?force If-Match HostSettings => 200 Host
POST /v1/ipam/check CheckRequest => 200 CheckReport
GET /v1/leases/history ?address ?network ?at ?since ?before ?limit => 200 LeaseHistory
POST /v1/memberships MembershipClaim => 200 Membership, 201 Membership
DELETE /v1/memberships/{name} ?force If-Match => 200 Done
POST /v1/migrations MigrationRequest => 200 Migrated, 201 Migrated
DELETE /v1/migrations/{name} ?force If-Match => 200 Done
DELETE /v1/conversions/{name} ?force If-Match => 200 Done
PUT /v1/moves/{name} MoveReport => 200 Done
DELETE /v1/networks/{name} ?force If-Match => 200 Done
PUT /v1/networks/{name} ?force If-Match If-None-Match NetworkPut => 200 Network, 201 Network
GET /v1/networks/{name}/map => 200 SpaceMap
GET /v1/quotas => 200 Quotas
GET /v1/networks/{name}/progress => 200 NetworkProgress
POST /v1/networks/{name}/retry If-Match => 200 Network
POST /v1/networks/select SelectRequest => 200 Selected
POST /v1/networks/{name}/reservations If-Match If-None-Match ReserveRequest => 200 Network, 201 Network
DELETE /v1/physicalnetworks/{name} ?force If-Match => 200 Done
DELETE /v1/hostclusters/{name} ?force If-Match => 200 Done
PUT /v1/hostclusters/{name} ?force If-Match If-None-Match HostClusterPut => 200 HostCluster, 201 HostCluster
PUT /v1/physicalnetworks/{name} If-Match If-None-Match PhysicalNetworkPut => 200 PhysicalNetwork, 201 PhysicalNetwork
DELETE /v1/pools/{name} ?force If-Match => 200 Done
PUT /v1/pools/{name} If-Match If-None-Match PoolPut => 200 Pool, 201 Pool
DELETE /v1/securitygroups/{name} ?force If-Match => 200 Done
PUT /v1/securitygroups/{name} If-Match If-None-Match SecurityGroupPut => 200 SecurityGroup, 201 SecurityGroup
POST /v1/securitygroups/{name}/commit SecurityGroupCommit => 200 SecurityGroup
GET /v1/snapshot Weft-History => 200 Snapshot
GET /v1/status => 200 ClusterStatus
POST /v1/login LoginRequest => 200 LoggedIn
DELETE /v1/login => 200 Done
POST /v1/login/oidc => 200 OidcBegun
POST /v1/login/oidc/finish OidcFinish => 200 LoggedIn
POST /v1/login/device => 200 DeviceBegun
POST /v1/login/device/finish DeviceFinish => 200 LoggedIn, 202 DevicePending
GET /v1/whoami => 200 WhoAmI
GET /v1/tokens ?user => 200 Credentials
POST /v1/tokens TokenRequest => 201 TokenMade
DELETE /v1/tokens/{name} ?user => 200 Done
PUT /v1/users/{name}/password PasswordRequest => 200 Done
GET /v1/version => 200 Version
POST /v1/vrfs/{name}/chown If-Match ChownRequest => 200 Vrf
POST /v1/vrfs/{name}/chmod If-Match ChmodRequest => 200 Vrf
POST /v1/vrfs/{name}/lock If-Match LockRequest => 200 Vrf
POST /v1/vrfs/{name}/unlock If-Match => 200 Vrf
POST /v1/templates/{name}/chown If-Match ChownRequest => 200 Template
POST /v1/templates/{name}/chmod If-Match ChmodRequest => 200 Template
POST /v1/templates/{name}/lock If-Match LockRequest => 200 Template
POST /v1/templates/{name}/unlock If-Match => 200 Template
POST /v1/networks/{name}/chown If-Match ChownRequest => 200 Network
POST /v1/networks/{name}/chmod If-Match ChmodRequest => 200 Network
POST /v1/networks/{name}/lock If-Match LockRequest => 200 Network
POST /v1/networks/{name}/unlock If-Match => 200 Network
POST /v1/endpoints/{name}/chown If-Match ChownRequest => 200 Endpoint
POST /v1/endpoints/{name}/chmod If-Match ChmodRequest => 200 Endpoint
POST /v1/endpoints/{name}/lock If-Match LockRequest => 200 Endpoint
POST /v1/endpoints/{name}/unlock If-Match => 200 Endpoint
POST /v1/pools/{name}/chown If-Match ChownRequest => 200 Pool
POST /v1/pools/{name}/chmod If-Match ChmodRequest => 200 Pool
POST /v1/pools/{name}/lock If-Match LockRequest => 200 Pool
POST /v1/pools/{name}/unlock If-Match => 200 Pool
POST /v1/securitygroups/{name}/chown If-Match ChownRequest => 200 SecurityGroup
POST /v1/securitygroups/{name}/chmod If-Match ChmodRequest => 200 SecurityGroup
POST /v1/securitygroups/{name}/lock If-Match LockRequest => 200 SecurityGroup
POST /v1/securitygroups/{name}/unlock If-Match => 200 SecurityGroup
POST /v1/physicalnetworks/{name}/chown If-Match ChownRequest => 200 PhysicalNetwork
POST /v1/physicalnetworks/{name}/chmod If-Match ChmodRequest => 200 PhysicalNetwork
POST /v1/physicalnetworks/{name}/lock If-Match LockRequest => 200 PhysicalNetwork
POST /v1/physicalnetworks/{name}/unlock If-Match => 200 PhysicalNetwork
DELETE /v1/users/{name} ?force If-Match => 200 Done
PUT /v1/users/{name} If-Match If-None-Match UserPut => 200 User, 201 User
DELETE /v1/usergroups/{name} ?force If-Match => 200 Done
PUT /v1/usergroups/{name} If-Match If-None-Match UserGroupPut => 200 UserGroup, 201 UserGroup
DELETE /v1/aclrules/{name} ?force If-Match => 200 Done
PUT /v1/aclrules/{name} If-Match If-None-Match AclRulePut => 200 AclRule, 201 AclRule
DELETE /v1/templates/{name} ?force If-Match => 200 Done
PUT /v1/templates/{name} If-Match If-None-Match TemplatePut => 200 Template, 201 Template
POST /v1/templates/{name}/clone TemplateName => 201 Template
POST /v1/templates/{name}/instantiate InstantiateRequest => 200 Instantiated, 201 Instantiated
POST /v1/templates/{name}/rename If-Match TemplateName => 200 Template, 201 Template
DELETE /v1/vrfs/{name} ?force If-Match => 200 Done
PUT /v1/vrfs/{name} If-Match If-None-Match VrfPut => 200 Vrf, 201 Vrf
GET /v1/watch ?from Weft-History => 200 application/x-ndjson
`;

/** Of each kind: where it is listed, its schema, what it is called, the reason without it, the command to look. */
const KINDS = `
vrfs            Vrf            VRF             vrf-unknown         vrf list
networks        Network        network         network-unknown     network list
hosts           Host           host            host-unknown        host list
blocks          Block          block           not-found           network show NETWORK
vteps           Vtep           vtep            not-found           network show NETWORK
endpoints       Endpoint       endpoint        endpoint-unknown    endpoint list
pools           Pool           pool            pool-unknown        pool list
memberships     Membership     membership      membership-unknown  network members NETWORK
migrations      Migration      migration       migration-unknown   network migration list
moves           Move           move            not-found           network migration show NAME
holds           Hold           hold            hold-unknown        lease list --state held
freed           Freed          freed lease     not-found           lease list --state quarantined
cursors         Cursor         cursor          not-found           network show NETWORK
securitygroups  SecurityGroup  security group  group-unknown       sg list
conversions     Conversion     conversion      not-found           network conversion list
physicalnetworks  PhysicalNetwork  physical network  physical-unknown  physical list
users           User           user            not-found           user list
usergroups      UserGroup      user group      not-found           usergroup list
aclrules        AclRule        ACL rule        not-found           acl list
templates       Template       template        template-unknown    template list
hostclusters   HostCluster    cluster         cluster-unknown     cluster list
`;
const rowsOf = (table: string) => table.trim().split("\n");
const kinds = rowsOf(KINDS).map((row) => {
  const [plural = "", item = "", called = "", reason = "", see = ""] = row.split(/ {2,}/);
  return { plural, item: item as SchemaName, called, reason: reason as "not-found", see };
});

type Content = Readonly<Record<string, { readonly schema?: { readonly $ref: string } }>>;
type Operation = {
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly description?: string }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content: Content }>>;
};
const nameOf = (content: Content | undefined) =>
  Object.entries(content ?? {}).map(([type, { schema }]) => schema?.$ref.split("/").at(-1) ?? type);
function rowOf(route: string, { parameters, requestBody, responses }: Operation): string {
  const asked = parameters.filter((one) => one.in !== "path").map((one) => (one.in === "query" ? "?" : "") + one.name);
  const answered = Object.entries(responses).filter(([status]) => status !== "default");
  const answers = answered.map(([status, { content }]) => `${status} ${nameOf(content).join()}`);
  return [route, ...asked, ...nameOf(requestBody?.content), "=>", answers.join(", ")].join(" ");
}

test("each route takes and answers what the tables say, and every parameter is described", async () => {
  const { ask } = await open();
  const { paths } = (await ask("GET", "/openapi.json")).body as { paths: Record<string, Record<string, Operation>> };
  const rows = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => rowOf(`${method.toUpperCase()} ${path}`, operation)),
  );
  const expected = kinds.flatMap(({ plural, item }) => [
    `GET /v1/${plural} ?limit ?cursor ?labels => 200 ${item}Page`,
    `GET /v1/${plural}/{name} => 200 ${item}`,
  ]);
  assert.deepEqual(rows.toSorted(), [...expected, ...rowsOf(ROUTES)].toSorted());
  for (const operation of Object.values(paths).flatMap((methods) => Object.values(methods)))
    for (const { in: place, description } of operation.parameters)
      assert.ok(place === "path" || (description ?? "").endsWith("."));
});

test("a parameter that a route does not know is refused by all but those whose callers bring their own", async () => {
  const { ask } = await open();
  const { paths } = (await ask("GET", "/openapi.json")).body as { paths: Record<string, Record<string, Operation>> };
  const lenient: string[] = [];
  for (const [path, methods] of Object.entries(paths)) {
    for (const method of Object.keys(methods)) {
      const reply = await ask(method.toUpperCase(), `${path.replace("{name}", "x")}?colour=blue`, undefined);
      if (!reply.text.includes("unknown parameter")) lenient.push(`${method} ${path}`);
    }
  }
  assert.deepEqual(lenient, ["get /livez", "get /readyz", "get /metrics", "get /v1/version", "get /openapi.json"]);
});

test("of a name that is not there each kind says what is missing and where to look", async () => {
  const { ask } = await open();
  for (const { plural, called, reason, see } of kinds) {
    const reply = await ask("GET", `/v1/${plural}/${"x".repeat(90)}`);
    isProblem(reply, reason, /./);
    assert.deepEqual(
      [reply.body.what, reply.body.where, reply.body.fix],
      [`there is no ${called} "${"x".repeat(80)}"`, "name", `see weft ${see}`],
    );
  }
});

/** Fields of answers; `?`: may be missing. What a resource has is the model's own schema. */
const FIELDS = `
Migrated: migration moves
Joined: cluster host certificate? ca? suspectAfterMs reclaimAfterMs?
LeaseHistory: items items[].network items[].address items[].endpoint items[].owner items[].ifname items[].host
  items[].mac items[].fromMs items[].untilMs?
ClusterStatus: cluster revision paths? paths.pairs paths.proven paths.unproven paths.unproven[].hosts
  paths.unproven[].state paths.unproven[].sinceMs paths.unproven[].obstacles groups? groups[].network groups[].pairs
  groups[].proven groups[].unproven groups[].unproven[].hosts groups[].unproven[].state groups[].unproven[].sinceMs
  groups[].unproven[].obstacles hosts hosts[].host hosts[].underlay hosts[].state hosts[].sinceMs? hosts[].status?
  hosts[].status.host hosts[].status.bootId hosts[].status.version hosts[].status.revision
  hosts[].status.driftRepaired hosts[].status.errors hosts[].status.networks hosts[].status.conditions
  hosts[].status.hostPrefixes hosts[].status.objects hosts[].status.policyRevision? hosts[].status.paths?
  hosts[].status.paths.peers hosts[].status.paths.proven hosts[].status.paths.named hosts[].status.paths.named[].host
  hosts[].status.paths.named[].state hosts[].status.paths.named[].sinceMs hosts[].status.paths.named[].obstacle?
  hosts[].status.paths.channels? hosts[].status.paths.channels[].driver hosts[].status.paths.channels[].port
  hosts[].status.paths.channels[].unproven hosts[].status.groups? hosts[].status.groups[].network
  hosts[].status.groups[].peers hosts[].status.groups[].proven hosts[].status.groups[].named
  hosts[].status.groups[].named[].host hosts[].status.groups[].named[].state hosts[].status.groups[].named[].sinceMs
  hosts[].status.groups[].named[].obstacle? hosts[].status.policyFailed? hosts[].status.reportedAtMs
  hosts[].status.lagMs? conditions conditions[].reason conditions[].object conditions[].host? conditions[].message
  conditions[].waitsFor? conditions[].waitsFor[].host conditions[].waitsFor[].why
Applied: revision changes
Snapshot: cluster revision history? vrfs networks hosts blocks vteps endpoints pools memberships migrations moves
  holds freed cursors securityGroups conversions physicalNetworks users userGroups aclRules templates
  hostClusters
ChangeSet: revision changes ask? ask.id ask.orders ask.trial?
  ask.trial.peers ask.trial.peers[].host ask.trial.peers[].underlay
  ask.trial.channels ask.trial.channels[].driver ask.trial.channels[].port
PreflightReport: hosts ways ways[].from ways[].to ways[].channel ways[].channel.driver ways[].channel.port ways[].state
  ways[].size ways[].why? problems
Instantiated: revision networks
Done: revision
Ca: pin certificate untilMs sinceMs previous? previous.pin previous.certificate previous.untilMs missing? joinTokens?
Heard: revision ca? suspectAfterMs reclaimAfterMs?
Version: version cluster
OidcBegun: url handle
DeviceBegun: handle userCode verificationUri verificationUriComplete? intervalSeconds expiresInSeconds
DevicePending: pending
LoggedIn: token user name expiresMs
TokenMade: kind name user? createdMs expiresMs narrowing? narrowing.rights? narrowing.networks? token
Credentials: items items[].kind items[].name items[].user? items[].createdMs items[].expiresMs items[].narrowing?
  items[].narrowing.rights? items[].narrowing.networks?
WhoAmI: role user? host? group? groups? credential expiresMs? narrowing? narrowing.rights? narrowing.networks? from
  cluster
Problem: type title status detail reason what where? why? fix blockers? retryAfterSeconds?
`;
/** Schemas of resources that have an owner. */
const OWNED: readonly string[] = ["Network", "Vrf", "Pool", "PhysicalNetwork", "SecurityGroup", "Endpoint", "Template"];

type Described = {
  readonly type?: string;
  readonly items?: Described;
  readonly properties?: Readonly<Record<string, Described>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
};
function fieldsOf({ items, properties, required = [], additionalProperties }: Described, at = ""): string[] {
  if (items !== undefined) return fieldsOf(items, `${at}[]`);
  if (properties === undefined || at === "spec" || (at !== "" && "spec" in properties)) return [];
  assert.equal(additionalProperties, false, `${at} takes anything`);
  return Object.entries(properties).flatMap(([name, schema]) => {
    const path = at === "" ? name : `${at}.${name}`;
    return [required.includes(name) ? path : `${path}?`, ...fieldsOf(schema, path)];
  });
}

test("answers have these fields, and no other", () => {
  const expected = Object.fromEntries(
    rowsOf(FIELDS.replaceAll(/\n {2}/g, " ")).map((row) => {
      const [name = "", fields = ""] = row.split(": ");
      return [name, fields.split(" ")] as const;
    }),
  );
  for (const { item } of kinds) {
    const owned = OWNED.includes(item)
      ? ["access?", "access.owner?", "access.group?", "access.mode", "lock?", "lockedBy?"]
      : [];
    expected[item] = ["kind", "name", "uid", "revision", "spec", ...owned];
    expected[`${item}Page`] = ["revision", "items", "cursor?"];
  }
  for (const [name, fields] of Object.entries(expected)) {
    const schema = SCHEMAS[name as SchemaName] as unknown as Described;
    assert.deepEqual(fieldsOf(schema), fields, name);
  }
});

test("numbers that count begin at nothing", () => {
  const [revision, unknown] = [{ revision: 0 }, { revision: -1 }];
  assert.deepEqual([Schema.Errors(SCHEMAS.Done, revision)[0], Schema.Errors(SCHEMAS.Done, unknown)[0]], [true, false]);
});

/** Of what is no resource, and has no labels. */
const LISTS_WITHOUT_LABELS = ["/v1/audit"];

test("every list of resources takes labels, evaluates them, and refuses what cannot be read", async () => {
  const { ask } = await open();
  const { paths } = (await ask("GET", "/openapi.json")).body as {
    paths: Record<string, { get?: { parameters?: { name: string }[]; responses: Record<string, object> } }>;
  };
  const lists = Object.entries(paths).filter(([, { get }]) => /"[^"]*Page"/.test(JSON.stringify(get?.responses ?? {})));
  assert.ok(lists.length > 20, `found only ${lists.length} lists`);
  const without = lists.filter(([, { get }]) => get?.parameters?.some(({ name }) => name === "labels") !== true);
  assert.deepEqual(
    without.map(([path]) => path),
    LISTS_WITHOUT_LABELS,
  );
  for (const [path] of lists.filter((each) => !without.includes(each))) {
    assert.deepEqual((await ask("GET", `${path}?labels=nobody-has-it`)).body.items, [], path);
    isProblem(await ask("GET", `${path}?labels=a%20in%20b`), "selector-invalid", /column 6/);
  }
});

test("long paths and names are cut where they are repeated", async () => {
  const { ask, app } = await open();
  const reply = await ask("GET", `/${"y".repeat(900)}`);
  isProblem(reply, "not-found", /y/);
  assert.deepEqual([reply.body.what.length, reply.body.where.length], [12 + 200, 4 + 200]);
  const bad = await ask("GET", `/v1/networks?${"z".repeat(60)}=1`);
  assert.deepEqual([bad.body.where, bad.body.fix], [`?${"z".repeat(40)}`, "known are limit, cursor, labels"]);
  assert.equal((await ask("GET", "/v1/snapshot?a=1")).body.fix, "leave it out");
  assert.equal((await ask("GET", "/v1/networks?limit=1&b=1&a=1")).body.where, "?b", "the first of several");
  // HEAD is no method of anything.
  const head = { method: "HEAD", url: "/v1/networks", headers: { authorization: `Bearer ${ADMIN}` } } as const;
  const { statusCode, headers } = await app.inject(head);
  assert.deepEqual([statusCode, headers["allow"]], [405, "GET"]);
});
