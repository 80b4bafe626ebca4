// What the server says of its CA.

type ShownCa = {
  /** SHA-256 of its public key, in base64url. */
  readonly pin: string;
  /** In PEM. */
  readonly certificate: string;
  readonly untilMs: number;
};
export type CaState = ShownCa & {
  readonly sinceMs: number;
  /** While it is rotated: the one before, which is trusted too, and hosts that have only that. */
  readonly previous?: ShownCa;
  readonly missing?: readonly string[];
  /** Those that name another CA. */
  readonly joinTokens?: readonly string[];
};
