// Which networks an endpoint could be in that names none, the best first, and why it could not be in the others. A pure
// function of the view and what is asked. Thousands of networks are looked at for one attach, so texts are made only
// when somebody reads them.
import { type Test, numberOf, scoreOf, testOf, whyNot } from "../../model/expression/evaluate.ts";
import { type Requirement, parseRank, parseRequirement } from "../../model/expression/parse.ts";
import { whyLeftOut } from "../../model/leftOut.ts";
import type { Host, Network } from "../../model/resource.ts";
import { type Policy, policyOf } from "../../model/selection.ts";
import { reservationChain, segmentOwnerOf } from "../admit/contents.ts";
import { isLocked } from "../rights/needs.ts";
import { type View, listOf } from "../state/view.ts";
import { type Candidate, PRIORITY, fieldsIn, labelOf } from "./fields.ts";
import { leasesOf } from "./room.ts";

export type Asked = {
  readonly requires?: string;
  readonly rank?: string;
  readonly policy?: Policy;
  readonly host?: Host;
  /** Networks that are left out: where the owner is already, or what was tried. */
  readonly except?: ReadonlyMap<string, string>;
  /** Local networks are for agents, which allocate in them. */
  readonly isLocalPossible: boolean;
  /** Networks that are not this caller's to use are not spoken of. */
  readonly isUsable?: (network: Network) => boolean;
};

/** A network that would do. `score` is not a number where the rank has none. */
export type Choice = Candidate & { readonly score: number };
/** A network that would not do, and which condition it failed: the later, the nearer it came. */
export type PassedOver = { readonly network: string; readonly stage: number; readonly why: () => string };

/** What is asked, ready for many networks. */
type Question = {
  readonly view: View;
  readonly asked: Asked;
  readonly requirement: Requirement | undefined;
  readonly test: Test<Candidate> | undefined;
  /** Of networks that nothing but their driver keeps from the host. */
  readonly leftOut: Map<string, string | undefined>;
};
type Condition = {
  readonly fails: (candidate: Candidate, question: Question) => boolean;
  readonly why: (candidate: Candidate, question: Question) => string;
};

/** In this order; the first that fails is the reason. */
const CONDITIONS: readonly Condition[] = [
  {
    fails: ({ network }, { view }) => disabled(view, network) !== undefined,
    why({ network }, { view }) {
      const name = disabled(view, network)?.name;
      return name === network.name ? "it is disabled" : `network "${name}", from which it is reserved, is disabled`;
    },
  },
  { fails: ({ network }) => isLocked(network, "use"), why: () => "it is locked" },
  {
    fails: (candidate, { test }) => test?.(candidate) === false,
    why: (candidate, { view, requirement }) =>
      (requirement === undefined ? undefined : whyNot(requirement, fieldsIn(view), candidate)) ?? "",
  },
  {
    fails: ({ network: { name } }, { asked: { except } }) => except?.has(name) === true,
    why: ({ network: { name } }, { asked: { except } }) => except?.get(name) ?? "",
  },
  {
    fails: ({ network: { spec } }, { asked }) => !asked.isLocalPossible && spec.ipam === "local",
    why: () => "it is local: only the host's agent allocates in it (weft attach)",
  },
  {
    fails: ({ network }, question) => whyNotOn(network, question) !== undefined,
    why: ({ network }, question) => whyNotOn(network, question) ?? "",
  },
  {
    fails: ({ leases }) => leases.free + leases.quarantined === 0,
    why: ({ network: { spec } }, { asked: { host } }) =>
      spec.ipam === "local" && host !== undefined
        ? `host "${host.name}" has no free address of it`
        : "it has no free lease",
  },
];

function disabled(view: View, network: Network): Network | undefined {
  if (!network.spec.enabled) return network;
  if (network.spec.reservedFrom === undefined) return undefined;
  return reservationChain(view, network).find(({ spec }) => !spec.enabled);
}

function whyNotOn(network: Network, { view, asked: { host }, leftOut }: Question): string | undefined {
  if (host === undefined) return undefined;
  const { reservedFrom, ipam, driver, parent, bridge, clusters } = network.spec;
  let why: string | undefined;
  if ((reservedFrom ?? parent ?? bridge ?? clusters) === undefined) {
    if (!leftOut.has(driver)) leftOut.set(driver, whyLeftOut(network.spec, host));
    why = leftOut.get(driver);
  } else why = whyLeftOut(segmentOwnerOf(view, network).spec, host);
  if (why !== undefined) return `host "${host.name}" does not carry it: ${why}`;
  const isWithoutBlock = ipam === "local" && view.networks.get(network.name)?.blocks.has(host.name) !== true;
  return isWithoutBlock ? `host "${host.name}" has no block of it` : undefined;
}

/** Networks that would do, in no order; `passed` is told of every other one. */
export function choicesOf(view: View, asked: Asked, passed?: (network: PassedOver) => void): Choice[] {
  const { requires, host, isUsable } = asked;
  const requirement = requires === undefined ? undefined : parseRequirement(requires);
  const test = requirement === undefined ? undefined : testOf(requirement, fieldsIn(view));
  const question: Question = { view, asked, requirement, test, leftOut: new Map() };
  const score = scoring(view, asked);
  const choices: Choice[] = [];
  for (const network of listOf(view, "network")) {
    if (isUsable?.(network) === false) continue;
    const candidate = { network, leases: leasesOf(view, network, host?.name) };
    const stage = failing(candidate, question);
    if (stage < 0) choices.push({ ...candidate, score: score(candidate) });
    else passed?.({ network: network.name, stage, why: () => CONDITIONS[stage]?.why(candidate, question) ?? "" });
  }
  return choices;
}

function failing(candidate: Candidate, question: Question): number {
  for (const [stage, { fails }] of CONDITIONS.entries()) if (fails(candidate, question)) return stage;
  return -1;
}

function scoring(view: View, asked: Asked): (candidate: Candidate) => number {
  switch (policyOf(asked)) {
    case "striping":
      return ({ leases }) => leases.free;
    case "packing":
      return ({ leases }) => -leases.free;
    case "fixed":
      return ({ network }) => numberOf(labelOf(network, PRIORITY) ?? "") ?? 0;
    case "rank":
      return scoreOf(parseRank(asked.rank ?? "0"), fieldsIn(view));
  }
}

/** The best first. Usually only the first is asked for, and the others need no order. */
export function* bestFirst(choices: readonly Choice[]): Generator<Choice> {
  let best: Choice | undefined;
  for (const choice of choices) if (best === undefined || compare(choice, best) < 0) best = choice;
  if (best === undefined) return;
  yield best;
  for (const choice of choices.toSorted(compare)) if (choice !== best) yield choice;
}

/** Leases in quarantine are for when nothing else is free; names decide between equals, so the order is always one. */
function compare(a: Choice, b: Choice): number {
  const isFull = Number(a.leases.free === 0) - Number(b.leases.free === 0);
  if (isFull !== 0) return isFull;
  const isScored = Number(Number.isNaN(a.score)) - Number(Number.isNaN(b.score));
  if (isScored !== 0) return isScored;
  if (a.score !== b.score && !Number.isNaN(a.score)) return b.score - a.score;
  return a.network.name < b.network.name ? -1 : a.network.name > b.network.name ? 1 : 0;
}

/** How many networks a refusal names. */
const NAMED_MAX = 10;

/** Why nothing fits: a line for each network, those first that came nearest. */
export function whyNothing(passed: readonly PassedOver[]): string {
  if (passed.length === 0) return "there is no network that you may use";
  const nearest = passed.toSorted((a, b) => b.stage - a.stage || (a.network < b.network ? -1 : 1));
  const lines = nearest.slice(0, NAMED_MAX).map(({ network, why }) => `${network}: ${why()}`);
  const more = passed.length - lines.length;
  return [...lines, ...(more > 0 ? [`and ${more} more networks`] : [])].join("\n");
}
