"""Sheets to read: the keys, and what this program does and does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QDialog, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from affect_gui.actions import help_rows
from affect_gui.start_page import LAW, NOT, PEOPLE, PRIVATE, WHAT

if TYPE_CHECKING:
    from collections.abc import Sequence


def show_keys(parent: QWidget) -> QDialog:
    """Show every key and what it does; made from the commands themselves."""
    table = table_of(("Keys", "What they do"), help_rows())
    return show_sheet(parent, "Keys and commands", table, QSize(760, 600))


def show_about(parent: QWidget) -> QDialog:
    """Say what is measured, what is not, and what the law asks."""
    label = QLabel("".join(f"<p>{text}</p>" for text in (WHAT, NOT, PRIVATE, PEOPLE, LAW)))
    label.setWordWrap(True)
    return show_sheet(parent, "What this does and does not", label, QSize(520, 420))


def table_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> QTableWidget:
    """Return a table to read."""
    table = QTableWidget(len(rows), len(columns))
    table.setHorizontalHeaderLabels(list(columns))
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    numbers, names = table.verticalHeader(), table.horizontalHeader()
    if numbers is not None:
        numbers.hide()
    for n, cells in enumerate(rows):
        for column, text in enumerate(cells):
            table.setItem(n, column, QTableWidgetItem(text))
    for column in range(len(columns) - 1):
        table.resizeColumnToContents(column)
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
    if names is not None:  # the last column takes what is left, and wraps
        names.setStretchLastSection(True)
        names.sectionResized.connect(table.resizeRowsToContents)
    return table


def show_sheet(parent: QWidget, title: str, content: QWidget, size: QSize) -> QDialog:
    """Show something in a window of its own, beside the main one."""
    sheet = QDialog(parent)
    sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    sheet.setWindowTitle(title)
    QVBoxLayout(sheet).addWidget(content)
    sheet.resize(size)
    sheet.show()
    return sheet
