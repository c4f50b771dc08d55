"""PostgreSQL, the real server, with what a fresh hosted Supabase project holds and the platform's migrations."""
