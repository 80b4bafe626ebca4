// A check of the running control plane: what it asks of the store's view, of hosts, and of the committer.
import type { CheckReport, CheckRequest } from "../../model/check.ts";
import type { Parts } from "../parts.ts";
import { fullSnapshot } from "../state/visibility.ts";
import { check } from "./check.ts";

export function runCheck({ clock, committer, inquiry }: Parts, request: CheckRequest): Promise<CheckReport> {
  const parts = {
    clock,
    async snapshot() {
      await committer.settled();
      return fullSnapshot(committer.view);
    },
    ask: (questions: Parameters<typeof inquiry.ask>[0]) => inquiry.ask(questions),
    release: (endpoint: string, ifRevision: number) =>
      committer.submit({ write: { verb: "detach", endpoint, by: { role: "admin" }, force: true, ifRevision } }),
  };
  return check(parts, request);
}
