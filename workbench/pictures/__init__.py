"""Pictures: opened safely, brought into data sets, shown small. No torch in here."""
