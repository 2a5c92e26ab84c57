import type { Kysely } from 'kysely'
import type { ClosedReview, OpenReview, Review, ReviewVerdict } from '../../access/review.ts'
import type { ReviewReads, ReviewTx } from '../../access/review-store.ts'
import type { GrantId, PersonId, RequestId, ReviewId } from '../../kernel/ids.ts'
import type { Instant } from '../../kernel/time.ts'
import type { Approvers } from '../../policy/approval.ts'
import type { ReviewRow, Tables } from './tables.ts'

type Database = Kysely<Tables>

export function reviewReads(db: Database): ReviewReads {
  const reviews = () => db.selectFrom('reviews').selectAll('reviews')
  return {
    async review(id) {
      const row = await reviews().where('id', '=', id).executeTakeFirst()
      return row && toReview(row)
    },
    async reviewOf(request) {
      const row = await reviews().where('request_id', '=', request).executeTakeFirst()
      return row && toReview(row)
    },
    async openReviews() {
      const open = reviews().where('reviews.closed_at', 'is', null)
      const rows = await open
        .leftJoin('grants', 'grants.request_id', 'reviews.request_id')
        .select('grants.ended_at')
        .orderBy('opened_at')
        .orderBy('reviews.id')
        .execute()
      return rows.map(({ ended_at, ...row }) => ({ review: toOpen(row), endedAt: ended_at as Instant | null }))
    },
    async closedReviews(limit) {
      const closed = reviews().where('closed_at', 'is not', null)
      const rows = await closed.orderBy('closed_at', 'desc').orderBy('id').limit(limit).execute()
      return rows.map(toReview).filter((review): review is ClosedReview => review.state === 'closed')
    },
    async emergencyGrants(among) {
      if (among.length === 0) return []
      const given = db.selectFrom('grants').innerJoin('reviews', 'reviews.request_id', 'grants.request_id')
      const rows = await given.select('grants.id').where('grants.id', 'in', among).execute()
      return rows.map(({ id }) => id as GrantId)
    },
  }
}

export function reviewTx(db: Database): ReviewTx {
  return {
    ...reviewReads(db),
    insertReview: async (review) => void (await db.insertInto('reviews').values(fromReview(review)).execute()),
    async updateReview(review) {
      const { id, ...columns } = fromReview(review)
      await db.updateTable('reviews').set(columns).where('id', '=', id).execute()
    },
  }
}

function fromReview(review: Review): ReviewRow {
  const closed = review.state === 'closed' ? review : undefined
  return {
    id: review.id,
    request_id: review.request,
    person_id: review.person,
    reviewers: JSON.stringify(review.reviewers),
    opened_at: review.openedAt,
    reminders: review.reminders,
    remind_at: review.remindAt,
    verdict: closed?.verdict ?? null,
    comment: closed?.comment ?? null,
    closed_by: closed?.closedBy ?? null,
    closed_at: closed?.closedAt ?? null,
  }
}

function toOpen(row: ReviewRow): OpenReview {
  return {
    state: 'open',
    id: row.id as ReviewId,
    request: row.request_id as RequestId,
    person: row.person_id as PersonId,
    reviewers: JSON.parse(row.reviewers) as Approvers,
    openedAt: row.opened_at as Instant,
    reminders: row.reminders,
    remindAt: row.remind_at as Instant,
  }
}

function toReview(row: ReviewRow): Review {
  if (row.closed_at === null) return toOpen(row)
  return {
    ...toOpen(row),
    state: 'closed',
    verdict: row.verdict as ReviewVerdict,
    comment: row.comment ?? '',
    closedBy: row.closed_by as PersonId,
    closedAt: row.closed_at as Instant,
  }
}
