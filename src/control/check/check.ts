// `weft ipam check`: asks every host, compares, and looks again at what is suspicious, because the sources are read one
// after the other while attaches and registrations are in progress. A difference is a finding only if every look shows
// it. Repair does what findings.ts says for each finding, and runs another check to judge itself.
import type { CheckReport, CheckRequest, Finding, Inventory, Order } from "../../model/check.ts";
import type { Clock } from "../../model/clock.ts";
import { Fault, problemOf } from "../../model/fault.ts";
import { unknownFault } from "../../model/kinds.ts";
import type { Snapshot } from "../../model/resource.ts";
import type { Parts } from "../parts.ts";
import { fullSnapshot } from "../state/visibility.ts";
import { findingsOf } from "./findings.ts";
import type { Judgement } from "./judgement.ts";
import type { Answers } from "./inquiry.ts";

/** Longer than an idle agent takes to tell the server what it has done. */
const LOOK_AGAIN_MS = 500;
/** A host whose workloads come and go all the time is always telling the server something. */
const LOOKS_MAX = 5;
/** A first repair may uncover what the second repairs. */
const REPAIRS_MAX = 2;

export type CheckParts = {
  readonly clock: Clock;
  readonly snapshot: () => Promise<Snapshot>;
  readonly ask: (questions: ReadonlyMap<string, { readonly orders: readonly Order[] }>) => Promise<Answers>;
  /** Releases a lease, if it is still at this revision. */
  readonly release: (endpoint: string, revision: number) => Promise<unknown>;
};

type Look = {
  readonly snapshot: Snapshot;
  readonly inventories: ReadonlyMap<string, Inventory>;
  readonly unchecked: ReadonlyMap<string, string>;
  readonly judgements: readonly Judgement[];
};
/** What every look has shown. */
type Checked = Look & { readonly passing: number };

/** Faults: `network-unknown`, `host-unknown`, `request-invalid`. */
export async function check(parts: CheckParts, request: CheckRequest): Promise<CheckReport> {
  checkRequest(await parts.snapshot(), request);
  const before = await looks(parts, request);
  if (request.repair !== true) return reportOf(before);
  const said = new Map<string, string>();
  let after = before;
  for (let i = 0; i < REPAIRS_MAX && after.judgements.some(({ act }) => act !== undefined); i++) {
    for (const [key, why] of await mend(parts, after.judgements)) said.set(key, why);
    after = await looks(parts, request);
  }
  return repairedReport(before, after, said);
}

/** A check of the running control plane. */
export function runCheck({ clock, committer, inquiry }: Parts, request: CheckRequest): Promise<CheckReport> {
  return check(
    {
      clock,
      async snapshot() {
        await committer.settled();
        return fullSnapshot(committer.view);
      },
      ask: (questions) => inquiry.ask(questions),
      release: (endpoint: string, ifRevision: number) =>
        committer.submit({ write: { verb: "detach", endpoint, by: { role: "admin" }, force: true, ifRevision } }),
    },
    request,
  );
}

function checkRequest(snapshot: Snapshot, { network, host, repair, evict }: CheckRequest): void {
  if (evict === true && repair !== true)
    throw new Fault("request-invalid", {
      what: "--evict needs --repair",
      where: "evict",
      fix: "give both, or leave --evict out",
    });
  if (network !== undefined && !snapshot.networks.some((one) => one.name === network))
    throw unknownFault("network", network, "network");
  if (host !== undefined && !snapshot.hosts.some((one) => one.name === host)) throw unknownFault("host", host, "host");
}

/**
 * Looks until every remaining difference was seen each time, at least twice, and no agent is about to tell the server
 * of it.
 */
async function looks(parts: CheckParts, request: CheckRequest): Promise<Checked> {
  const { hosts } = await parts.snapshot();
  const asked = hosts.map((host) => host.name).filter((name) => request.host === undefined || name === request.host);
  let now = await look(parts, request, asked);
  const first = new Map(now.judgements.map((judgement) => [keyOf(judgement), judgement.finding.host]));
  for (let i = 1; i < LOOKS_MAX && now.judgements.length > 0 && (i < 2 || isTold(now)); i++) {
    await parts.clock.sleep(LOOK_AGAIN_MS);
    const keys = new Set(now.judgements.map(keyOf));
    const next = await look(parts, request, suspectsOf(now), now);
    now = { ...next, judgements: next.judgements.filter((judgement) => keys.has(keyOf(judgement))) };
  }
  const left = new Set(now.judgements.map(keyOf));
  // A finding about a host that no longer answers has not gone away: the host is named as not checked.
  const passed = [...first].filter(([key, host]) => !left.has(key) && now.inventories.has(host));
  return { ...now, passing: passed.length };
}

/** The answering hosts that a finding is about. */
function suspectsOf({ judgements, inventories }: Look): string[] {
  const suspects = judgements.flatMap(({ finding }) => [finding.host, ...finding.evidence.map(({ host }) => host)]);
  return [...new Set(suspects)].filter((host) => inventories.has(host));
}

function isTold(look: Look): boolean {
  return suspectsOf(look).some((host) => look.inventories.get(host)?.telling === true);
}

/** `earlier`: earlier answers of hosts that are not asked now. */
async function look(parts: CheckParts, request: CheckRequest, hosts: readonly string[], earlier?: Look): Promise<Look> {
  const { answers, unanswered } = await parts.ask(new Map(hosts.map((host) => [host, { orders: [] }])));
  const snapshot = await parts.snapshot();
  const inventories = new Map(earlier?.inventories);
  for (const host of unanswered.keys()) inventories.delete(host);
  for (const [host, { inventory }] of answers) inventories.set(host, inventory);
  const all = findingsOf(snapshot, inventories, { evict: request.evict === true });
  const judgements = all.filter(({ finding }) => isAbout(finding, snapshot, request));
  return { snapshot, inventories, unchecked: new Map([...(earlier?.unchecked ?? []), ...unanswered]), judgements };
}

/** A finding without a known network is about every network of its VRF. */
function isAbout(finding: Finding, snapshot: Snapshot, { network, host }: CheckRequest): boolean {
  if (host !== undefined && finding.host !== host && !finding.evidence.some((one) => one.host === host)) return false;
  if (network === undefined || finding.network === network) return true;
  const vrf = snapshot.networks.find((one) => one.name === network)?.spec.vrf;
  return finding.network === "" && finding.vrf === vrf;
}

function keyOf({ finding: { rule, vrf, host, endpoint, addresses } }: Judgement): string {
  return [rule, vrf, host, endpoint, ...addresses].join(" ");
}

/** Carries out the repair of each finding; returns the reasons why not, by finding. */
async function mend(parts: CheckParts, judgements: readonly Judgement[]): Promise<ReadonlyMap<string, string>> {
  const failed = new Map<string, string>();
  const orders: { readonly key: string; readonly host: string; readonly order: Order; readonly text: string }[] = [];
  for (const judgement of judgements) {
    const key = keyOf(judgement);
    const { act } = judgement;
    if (act?.do === "release") {
      const why = await refusalOf(parts.release(act.endpoint, act.revision));
      if (why !== undefined) failed.set(key, why);
    } else if (act?.do === "order") orders.push({ ...act, key, text: JSON.stringify(act.order) });
  }
  if (orders.length === 0) return failed;
  // Findings may need the same order; a host gets each order once.
  const byHost = new Map(
    [...Map.groupBy(orders, ({ host }) => host)].map(([host, all]) => [
      host,
      new Map(all.map(({ text, order }) => [text, order])),
    ]),
  );
  const questions = new Map([...byHost].map(([host, all]) => [host, { orders: [...all.values()] }]));
  const { answers, unanswered } = await parts.ask(questions);
  const said = new Map(
    [...byHost].map(([host, all]) => [
      host,
      new Map([...all.keys()].map((text, i) => [text, answers.get(host)?.done[i] ?? unanswered.get(host) ?? ""])),
    ]),
  );
  for (const { key, host, text } of orders) {
    const why = said.get(host)?.get(text) ?? "";
    if (why !== "") failed.set(key, why);
  }
  return failed;
}

async function refusalOf(done: Promise<unknown>): Promise<string | undefined> {
  return await done.then(
    () => undefined,
    (error: unknown) => problemOf(error).detail,
  );
}

function reportOf({ snapshot, inventories, unchecked, judgements, passing }: Checked): CheckReport {
  return {
    revision: snapshot.revision,
    endpoints: snapshot.endpoints.length,
    checked: [...inventories.keys()].toSorted(),
    unchecked: [...unchecked].map(([host, why]) => ({ host, why })),
    passing,
    findings: judgements.map(({ finding }) => finding).toSorted(inOrder),
  };
}

/** Repaired is what a later check does not find. */
function repairedReport(before: Checked, after: Checked, said: ReadonlyMap<string, string>): CheckReport {
  const left = new Set(after.judgements.map(keyOf));
  const known = new Set(before.judgements.map(keyOf));
  const all = [...before.judgements, ...after.judgements.filter((judgement) => !known.has(keyOf(judgement)))];
  const findings = all.map((judgement): Finding => {
    const { finding } = judgement;
    const isDone = !left.has(keyOf(judgement));
    const why = said.get(keyOf(judgement)) ?? (finding.mendable ? "it is still so afterwards" : "left to you");
    return { ...finding, repair: { done: isDone, says: isDone ? finding.remedy : why } };
  });
  return { ...reportOf(after), passing: before.passing, findings: findings.toSorted(inOrder), left: left.size };
}

const KIND_ORDER: readonly Finding["kind"][] = ["doubled", "conflicting", "leaked", "orphaned"];

/** What harms traffic comes first. */
function inOrder(a: Finding, b: Finding): number {
  const text = ({ network, host, endpoint, rule }: Finding) => [network, host, endpoint, rule].join(" ");
  return KIND_ORDER.indexOf(a.kind) - KIND_ORDER.indexOf(b.kind) || (text(a) < text(b) ? -1 : 1);
}
