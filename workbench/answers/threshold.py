"""stub"""


def least(workspace, search, recipe):
    return recipe.min_score
