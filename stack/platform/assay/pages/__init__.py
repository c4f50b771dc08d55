"""The reference platform's pages as people use them: by label, role and text. One small class a page."""

from __future__ import annotations

from scenarios.browser.pages import Pages
from stack.platform.assay.pages.accounts import ReferenceAccounts, ReferencePrivacy
from stack.platform.assay.pages.content import ReferenceContent, ReferencePosts, ReferenceStatus
from stack.platform.assay.pages.files import ReferenceFiles
from stack.platform.assay.pages.rooms import ReferenceRooms


class ReferencePages(Pages):
    """Every page, for one person. A platform with others subclasses it, or any page."""

    accounts = ReferenceAccounts
    files = ReferenceFiles
    rooms = ReferenceRooms
    contents = ReferenceContent
    privacies = ReferencePrivacy
    posts = ReferencePosts
    statuses = ReferenceStatus


__all__ = [
    "ReferenceAccounts",
    "ReferenceContent",
    "ReferenceFiles",
    "ReferencePages",
    "ReferencePosts",
    "ReferencePrivacy",
    "ReferenceRooms",
    "ReferenceStatus",
]
