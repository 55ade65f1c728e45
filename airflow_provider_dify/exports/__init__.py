"""Exports of knowledge bases on disks and in buckets."""
