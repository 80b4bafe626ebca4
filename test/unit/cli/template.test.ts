// `weft template` as people use it, against a real server.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
