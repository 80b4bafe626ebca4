// Kinds with admission of their own: how each is put, and what its end takes along. The record in model/kinds says
// which these are, and one that says so and is missing here does not compile. All other kinds need nothing here:
// admit/resource.ts puts and deletes them by their record alone.
import type { InputOf, Kind, OwnDelete, OwnPut } from "../model/kinds.ts";
import type { ResourceOf } from "../model/resource.ts";
import { deleteGroup, putGroup } from "./admit/group/group.ts";
import { deleteCluster, putCluster } from "./admit/host/cluster.ts";
import { deleteHost } from "./admit/host/host.ts";
import { cancelConversion } from "./admit/network/convert.ts";
import { deleteNetwork, putNetwork, removeNetwork } from "./admit/network/network.ts";
import { deletePhysical } from "./admit/network/physical.ts";
import { deletePool, putPool } from "./admit/network/pool.ts";
import { deleteTemplate, putTemplate } from "./admit/network/template.ts";
import { deleteVrf, putVrf } from "./admit/network/vrf.ts";
import { deleteUser, deleteUsergroup } from "./admit/user/user.ts";
import { deleteMigration } from "./admit/workload/migrate.ts";
import type { Draft } from "./state/draft.ts";
import type { Delete, Put } from "./write.ts";

type Puts = { readonly [K in OwnPut]: (draft: Draft, put: Put<InputOf<K>>) => ResourceOf<K> };
type Deletes = { readonly [K in OwnDelete]: (draft: Draft, wanted: Delete) => void };

export const PUTS: Puts & { readonly [K in Kind]?: unknown } = {
  network: putNetwork,
  vrf: putVrf,
  pool: putPool,
  securitygroup: putGroup,
  template: putTemplate,
  hostcluster: putCluster,
};

export const DELETES: Deletes & { readonly [K in Kind]?: unknown } = {
  network: deleteNetwork,
  vrf: (draft, wanted) => deleteVrf(draft, wanted, (network) => removeNetwork(draft, network)),
  host: deleteHost,
  pool: deletePool,
  migration: deleteMigration,
  securitygroup: deleteGroup,
  template: deleteTemplate,
  conversion: cancelConversion,
  user: deleteUser,
  usergroup: deleteUsergroup,
  hostcluster: deleteCluster,
  physicalnetwork: (draft, wanted) =>
    deletePhysical(draft, wanted, ({ name }) => deleteNetwork(draft, { name, force: true })),
};
