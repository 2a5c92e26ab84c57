import type { Kysely } from 'kysely'
import type { Campaign, Entry, EntrySubject, EntryState } from '../../access/campaign.ts'
import type { CampaignReads, CampaignTx, LongToken } from '../../access/campaign-store.ts'
import type { CampaignId, EntryId, PersonId, TokenId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import type { CampaignEntryRow, CampaignRow, Tables, TokenRow } from './tables.ts'

type Database = Kysely<Tables>

export function campaignReads(db: Database): CampaignReads {
  const campaigns = () => db.selectFrom('campaigns').selectAll()
  const entries = () => db.selectFrom('campaign_entries').selectAll()
  return {
    async campaign(id) {
      const row = await campaigns().where('id', '=', id).executeTakeFirst()
      return row && toCampaign(row)
    },
    campaigns: async (limit) =>
      (await campaigns().orderBy('started_at', 'desc').orderBy('id').limit(limit).execute()).map(toCampaign),
    runningCampaigns: async () =>
      (await campaigns().where('finished_at', 'is', null).orderBy('due_at').orderBy('id').execute()).map(toCampaign),
    async entry(id) {
      const row = await entries().where('id', '=', id).executeTakeFirst()
      return row && toEntry(row)
    },
    entriesOf: async (campaign) =>
      (await entries().where('campaign_id', '=', campaign).orderBy('position').execute()).map(toEntry),
    async waitingEntries(campaign, limit) {
      const waiting = entries().where('campaign_id', '=', campaign).where('state', '=', 'waiting')
      return (await waiting.orderBy('position').limit(limit).execute()).map(toEntry)
    },
    async longTokens(lengthMs, at, limit) {
      const living = db.selectFrom('tokens').selectAll().where('ended_at', 'is', null).where('expires_at', '>', at)
      const long = living.where(({ eb }) => eb(eb('expires_at', '-', eb.ref('created_at')), '>=', lengthMs))
      return (await long.orderBy('created_at').orderBy('id').limit(limit).execute()).map(toLongToken)
    },
  }
}

export function campaignTx(db: Database): CampaignTx {
  return {
    ...campaignReads(db),
    insertCampaign: async (campaign) =>
      void (await db.insertInto('campaigns').values(fromCampaign(campaign)).execute()),
    insertEntry: async (entry, position) =>
      void (await db
        .insertInto('campaign_entries')
        .values({ ...fromEntry(entry), position })
        .execute()),
    async updateEntry(entry) {
      const { id, ...columns } = fromEntry(entry)
      await db.updateTable('campaign_entries').set(columns).where('id', '=', id).execute()
    },
    async updateCampaign(campaign) {
      const { id, ...columns } = fromCampaign(campaign)
      await db.updateTable('campaigns').set(columns).where('id', '=', id).execute()
    },
    async endLongToken(id, at) {
      const end = db.updateTable('tokens').set({ ended_at: at }).where('id', '=', id).where('ended_at', 'is', null)
      const row = await end.where('expires_at', '>', at).returningAll().executeTakeFirst()
      return row && toLongToken(row)
    },
  }
}

function fromCampaign(campaign: Campaign): CampaignRow {
  return {
    id: campaign.id,
    name: campaign.name,
    started_by: campaign.startedBy,
    started_at: campaign.startedAt,
    due_at: campaign.dueAt,
    grant_ms: campaign.grantMs,
    token_ms: campaign.tokenMs,
    reviewers: JSON.stringify(campaign.reviewers),
    reminded_at: campaign.remindedAt,
    finished_at: campaign.finishedAt,
  }
}

function toCampaign(row: CampaignRow): Campaign {
  return {
    id: row.id as CampaignId,
    name: row.name,
    startedBy: row.started_by as PersonId,
    startedAt: row.started_at as Instant,
    dueAt: row.due_at as Instant,
    grantMs: row.grant_ms,
    tokenMs: row.token_ms,
    reviewers: JSON.parse(row.reviewers) as readonly string[],
    remindedAt: row.reminded_at as Instant | null,
    finishedAt: row.finished_at as Instant | null,
  }
}

function fromEntry(entry: Entry): Omit<CampaignEntryRow, 'position'> {
  return {
    id: entry.id,
    campaign_id: entry.campaign,
    kind: entry.kind,
    subject: entry.subject,
    person_id: entry.holder,
    title: entry.title,
    details: entry.details,
    expires_at: entry.expiresAt,
    last_used_at: entry.lastUsedAt,
    state: entry.state,
    decided_by: entry.decidedBy,
    decided_at: entry.decidedAt,
    comment: entry.comment,
  }
}

function toEntry(row: CampaignEntryRow): Entry {
  const about = { kind: row.kind, subject: row.subject } as EntrySubject
  return {
    ...about,
    id: row.id as EntryId,
    campaign: row.campaign_id as CampaignId,
    holder: row.person_id as PersonId | null,
    title: row.title,
    details: row.details,
    expiresAt: row.expires_at as Instant | null,
    lastUsedAt: row.last_used_at as Instant | null,
    state: row.state as EntryState,
    decidedBy: row.decided_by as PersonId | null,
    decidedAt: row.decided_at as Instant | null,
    comment: row.comment,
  }
}

function toLongToken(row: TokenRow): LongToken {
  return {
    id: row.id as TokenId,
    person: row.person_id as PersonId,
    label: row.label,
    scopes: row.scopes,
    createdAt: row.created_at as Instant,
    expiresAt: row.expires_at as Instant,
    lastUsedAt: row.last_used_at as Instant | null,
  }
}
