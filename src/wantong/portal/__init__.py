"""The pages people see: one look, four languages, every page also as JSON.

Other packages extend ``wantong/base.html`` (blocks ``title``, ``breadcrumb``, ``content``), load the template library
``wantong`` and use :mod:`wantong.portal.pages` helpers; the portal itself only reads what the floors below offer and
calls their verbs, it decides nothing. Serves tasks 47 and 60 of the plan and the people of every other one.
"""
