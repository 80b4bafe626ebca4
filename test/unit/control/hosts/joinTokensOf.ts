// The join tokens of a store, without a control plane around them.
import type { Job } from "../../../../src/control/commit/committer.ts";
import { JoinTokens, type JoinTokenParts } from "../../../../src/control/hosts/joinTokens.ts";
import type { Store } from "../../../../src/store/store.ts";

export function joinTokensOf(store: Store, more: Partial<JoinTokenParts> = {}): JoinTokens {
  let made = 0;
  const submit = async (job: Job) => {
    job.holds?.();
    await store.commit([], job.secrets?.({ changes: [], created: false }) ?? []);
    job.committed?.();
    return { revision: 0, changes: [], created: false };
  };
  return new JoinTokens({
    store,
    committer: { submit },
    clock: { nowMs: () => 0 },
    random: () => `${++made}`.padStart(43, "r"),
    ...more,
  });
}
