// How a host joins, and joins again: in one transaction it checks the credential that the host shows or proposes, and
// the machine, and stores what the host says about itself.
import type { HostClaim } from "../../model/input.ts";
import { Fault } from "../../model/fault.ts";
import type { Host } from "../../model/resource.ts";
import { type Role, adminSecret, hostSecret } from "./credentials.ts";
import { prefixSecret } from "./prefixes.ts";
import { doneEntry } from "../audit/entry.ts";
import type { Parts } from "../parts.ts";
import { type Caller, type Identity, SERVER, type Write } from "../write.ts";

/** `proposed` is a token that the host made itself. */
export type Shown = {
  readonly token: string | undefined;
  readonly proposed: string | undefined;
  readonly caller?: Caller | undefined;
};

/**
 * Claims a host's name with the join token, or confirms it with the host's own token. A claim with the credential that
 * the host proposed before is the same host, so a join whose answer was lost can be repeated. Faults: token-wrong,
 * token-taken, host-claimed, host-cloned, overlap, address-invalid, name-invalid.
 */
export async function joinWith(
  parts: Parts,
  claim: HostClaim,
  { token, proposed, caller = SERVER }: Shown,
): Promise<{ readonly token: string; readonly host: Host }> {
  const { committer, credentials, joinTokens, prefixes, lifecycle, boots } = parts;
  const by = credentials.identify(token);
  if (by.role === "user")
    throw new Fault("forbidden", { what: `user "${by.user}" cannot join a host`, fix: "use the join token" });
  if (proposed !== undefined) credentials.refuseDeparted(proposed);
  const own = ownOf(parts, by, claim.host, { token, proposed });
  const given = own ?? proposed ?? parts.entropy.token();
  // A host that is known by its key only confirms it, and uses nothing.
  const use = own === undefined && by.role === "join" ? joinTokens.using(token ?? "", claim.host) : undefined;
  const write: Write = {
    verb: "join",
    claim,
    by: own === undefined || by.role === "host" ? by : { role: "host", host: claim.host },
  };
  // Checked at the time of the decision: earlier requests of the same turn are decided before.
  const holds = () => {
    if (own === undefined) credentials.take(claim.host, given);
    else if (write.by.role === "host" && write.by.host === claim.host && !committer.view.host.has(claim.host))
      throw going(claim.host);
    use?.holds();
    boots.checkClaim(claim, committer.view.host.get(claim.host)?.spec.underlay);
  };
  const secrets = () => {
    const isNews = prefixes.set(claim.host, claim.hostPrefixes);
    const credential = own === undefined ? [hostSecret(claim.host, given)] : [];
    const told = isNews ? [prefixSecret(claim.host, claim.hostPrefixes)] : [];
    return [
      ...(use?.secrets() ?? []),
      ...credential,
      ...told,
      ...boots.record(claim),
      ...lifecycle.departures.forget(claim.host),
    ];
  };
  // Whoever proposes a key gets a certificate of it; a renewal changes nothing else that would be recorded.
  const issued = { verb: "issue-certificate", object: `host/${claim.host}` };
  const entries = proposed === undefined ? [] : [doneEntry(caller, issued, parts.clock.nowMs())];
  const committed = () => {
    use?.over();
    credentials.admit(claim.host);
    lifecycle.reports.joined(claim.host);
    boots.taken(claim.host);
  };
  try {
    const outcome = await lifecycle.kept(committer, { write, caller, entries, holds, secrets, committed });
    if (outcome.resource?.kind !== "host") throw new Error("a join gives a host");
    return { token: given, host: outcome.resource };
  } finally {
    use?.over();
    credentials.endReservation(given);
  }
}

/** Its credential goes with it; asked again, the server says what became of the host. */
function going(host: string): Fault {
  const what = `host "${host}" is being removed`;
  return new Fault("unavailable", { what, where: `host/${host}`, fix: "join again in a moment" });
}

/** From now on, durably, this is the token of the role; the one before is worth nothing. */
export async function setRoleToken(parts: Parts, role: Role, token: string): Promise<void> {
  parts.credentials.checkRole(role, token);
  if (role === "join") return parts.joinTokens.setFileToken(token);
  const about = { verb: "set-token", object: role };
  await parts.committer.submit({ about, secrets: () => [adminSecret(token)] });
}

/** A person has decided that the host, which knows another history, follows this one. */
export async function acceptHistoryOf({ committer, histories }: Parts, host: string, caller: Caller): Promise<void> {
  await committer.settled();
  const { secret, begun } = histories.accepting(host);
  const about = { verb: "accept-history", object: `host/${host}` };
  await committer.submit({ about, caller, secrets: () => [secret], committed: begun });
}

/** The host's own token, if it was shown now or proposed before. */
function ownOf({ credentials }: Parts, by: Identity, host: string, { token, proposed }: Shown): string | undefined {
  if (by.role === "host") return token;
  return proposed !== undefined && credentials.isTokenOf(host, proposed) ? proposed : undefined;
}
